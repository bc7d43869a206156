"""What a Service's addresses and families become, and which are refused before anything else is looked at."""

import copy

import pytest

from kajitori.api.service_addresses import (
    address_errors,
    change_errors,
    settle_addresses,
    settle_families,
    settle_new_addresses,
)

GIVEN = {
    "type": "ClusterIP",
    "clusterIP": "10.96.0.5",
    "clusterIPs": ["10.96.0.5"],
    "ipFamilies": ["IPv4"],
    "ipFamilyPolicy": "SingleStack",
}
ASIDE = {
    "type": "ClusterIP",
    "clusterIP": "None",
    "clusterIPs": ["None"],
    "ipFamilies": ["IPv4", "IPv6"],
    "ipFamilyPolicy": "RequireDualStack",
}


def asked_for(spec, old):
    spec = copy.deepcopy(spec)
    if old is None:
        settle_new_addresses(spec)
    else:
        settle_addresses(spec, old)
    return spec, address_errors(spec, old)


def settled(spec, old=None):
    spec, errors = asked_for(spec, old)
    assert errors == []
    settle_families(spec, old)
    return spec


def complaints(spec, old=None):
    spec, errors = asked_for(spec, old)
    return [f"{e.field}: {e.message}" for e in errors or (change_errors(spec, old) if old else ())]


@pytest.mark.parametrize(
    ("asked", "families", "policy"),
    [
        ({}, ["IPv4"], "SingleStack"),
        ({"ipFamilyPolicy": "PreferDualStack"}, ["IPv4"], "PreferDualStack"),
        ({"clusterIP": "None", "selector": {"a": "b"}}, ["IPv4"], "SingleStack"),
        ({"clusterIP": "None"}, ["IPv4", "IPv6"], "RequireDualStack"),
        ({"clusterIP": "None", "ipFamilies": ["IPv6"]}, ["IPv6", "IPv4"], "RequireDualStack"),
        ({"clusterIP": "None", "ipFamilyPolicy": "SingleStack"}, ["IPv4"], "SingleStack"),
    ],
)
def test_families_of_a_new_service(asked, families, policy):
    spec = settled({"type": "ClusterIP", **asked})
    assert (spec["ipFamilies"], spec["ipFamilyPolicy"]) == (families, policy)


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ({}, "10.96.0.5"),
        ({"clusterIP": "10.96.0.5"}, "10.96.0.5"),
        ({"clusterIPs": ["10.96.0.5"]}, "10.96.0.5"),
        ({"clusterIP": "", "clusterIPs": []}, "10.96.0.5"),
    ],
)
def test_who_leaves_an_address_out_keeps_it(said, address):
    spec = settled({"type": "NodePort", **said}, GIVEN)
    assert (spec["clusterIP"], spec["clusterIPs"], spec["ipFamilies"]) == (address, [address], ["IPv4"])


def test_the_second_family_is_given_back_with_the_policy_that_wanted_it():
    assert settled({**ASIDE, "ipFamilyPolicy": "SingleStack"}, ASIDE)["ipFamilies"] == ["IPv4"]
    found = complaints({**ASIDE, "ipFamilies": ["IPv4"]}, ASIDE)
    assert len(found) == 1 and found[0].endswith("must be 'SingleStack' to release the secondary IP family"), found


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ({"clusterIPs": ["10.96.0.5"]}, "must be empty when `clusterIP` is not specified"),
        ({"clusterIP": "10.96.0.5", "clusterIPs": ["10.96.0.6"]}, "first value must match `clusterIP`"),
        ({"clusterIP": "None", "clusterIPs": ["None", "10.96.0.5"]}, "'None' must be the first and only value"),
        ({"clusterIP": "http"}, 'spec.clusterIPs[0]: Invalid value: "http": must be a valid IP address'),
        ({"clusterIP": "fd00::5", "ipFamilies": ["IPv4"]}, "expected an IPv4 value as indicated by `ipFamilies[0]`"),
        ({"clusterIP": "fd00::5"}, 'spec.clusterIPs[0]: Invalid value: ["fd00::5"]: IPv6 is not configured'),
        ({"ipFamilies": ["IPv4", "IPv4"]}, 'spec.ipFamilies[1]: Duplicate value: "IPv4"'),
        ({"ipFamilies": ["IPv4", "IPv6"]}, "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families"),
        ({"ipFamilies": ["IPv6"]}, 'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster'),
        ({"ipFamilyPolicy": "RequireDualStack"}, "this cluster is not configured for dual-stack services"),
    ],
)
def test_what_cannot_be_meant_is_refused(asked, complaint):
    found = complaints({"type": "ClusterIP", **asked})
    assert len(found) == 1 and complaint in found[0], found


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"clusterIP": "1.2.3.4"}, 'spec.clusterIPs[0]: Invalid value: ["1.2.3.4"]: may not change once set'),
        ({"clusterIP": "http"}, 'spec.clusterIPs[0]: Invalid value: "http": must be a valid IP address'),
        (
            {"clusterIPs": ["1.2.3.4"]},
            'spec.clusterIPs: Invalid value: ["1.2.3.4"]: first value must match `clusterIP`',
        ),
    ],
)
def test_an_address_does_not_change(said, complaint):
    found = complaints({**GIVEN, **said}, GIVEN)
    assert len(found) == 1 and found[0].startswith(complaint), found
    assert complaints({"type": "ExternalName"}, GIVEN) == []
