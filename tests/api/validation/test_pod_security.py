"""What pods may do on their node, and the resources of a whole pod."""

import pytest

from kajitori.api import core
from kajitori.api.validation.security import app_armor_profile, seccomp_profile, windows_options

CONTAINER = {"name": "c", "image": "i"}


def messages(*, containers=None, name="x", **spec):
    obj = {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": containers or [CONTAINER], **spec},
    }
    core.POD.default(obj)
    return [str(error).removeprefix("spec.") for error in core.POD.validate(obj)]


@pytest.mark.parametrize(
    ("profile", "wrong"),
    [
        ({"type": "Localhost", "localhostProfile": "p"}, []),
        ({"type": "Localhost"}, ["p.localhostProfile: Required value: must be set when seccomp type is Localhost"]),
        (
            {"localhostProfile": "p"},
            [
                "p.type: Required value: type is required when seccompProfile is set",
                'p.localhostProfile: Invalid value: {"Type":"","LocalhostProfile":"p"}: can only be set when seccomp '
                "type is Localhost",
            ],
        ),
    ],
)
def test_a_seccomp_profile(profile, wrong):
    assert [str(error) for error in seccomp_profile("p", profile)] == wrong


@pytest.mark.parametrize(
    ("profile", "wrong"),
    [
        ({"type": "Localhost", "localhostProfile": "p"}, []),
        (
            {"type": "Localhost", "localhostProfile": ""},
            ["p.localhostProfile: Required value: must be set when AppArmor type is Localhost"],
        ),
        (
            {"type": "Localhost", "localhostProfile": " p"},
            ['p.localhostProfile: Invalid value: " p": must not be padded with whitespace'],
        ),
        (
            {"type": "x", "localhostProfile": "p"},
            ['p.type: Unsupported value: "x": supported values: "Localhost", "RuntimeDefault", "Unconfined"'],
        ),
        (
            {"type": "Unconfined", "localhostProfile": "p"},
            ['p.localhostProfile: Invalid value: "p": can only be set when AppArmor type is Localhost'],
        ),
    ],
)
def test_an_app_armor_profile(profile, wrong):
    assert [str(error) for error in app_armor_profile("p", profile)] == wrong


@pytest.mark.parametrize(
    ("account", "wrong"),
    [
        ("NT AUTHORITY\\SYSTEM", []),
        ("", ["cannot be an empty string"]),
        ("a\\b\\c", ["cannot contain more than one backslash"]),
        ("\\u", ["'s Domain doesn't match the NetBios nor the DNS format"]),
        ("d\\", ["'s User cannot be empty"]),
        (". .", ["'s User cannot contain only periods or spaces"]),
        ("a:b", ["'s User cannot contain the following characters: \"/\\:;|=,+*?<>@[]"]),
        ("a\nb", ["cannot contain control characters"]),
        ("u" * 105, ["'s User length must not be longer than 104 characters"]),
    ],
)
def test_an_account_of_windows(account, wrong):
    found = [error.detail for error in windows_options("w", {"runAsUserName": account})]
    assert found == [f"runAsUserName{'' if why.startswith(chr(39)) else ' '}{why}" for why in wrong]


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        ({"securityContext": {"seLinuxChangePolicy": "Recursive"}}, []),
        (
            {"securityContext": {"seLinuxChangePolicy": ""}},
            ['securityContext.seLinuxChangePolicy: Unsupported value: "": supported values: "Recursive"'],
        ),
        (
            {"hostNetwork": True, "containers": [{**CONTAINER, "ports": [{"containerPort": 8, "hostPort": 9}]}]},
            [
                "containers[0].ports[0].hostPort: Invalid value: 9: must match `containerPort` when `hostNetwork` is "
                "true"
            ],
        ),
        (
            {"resourceClaims": [{"name": "a", "resourceClaimName": "-"}]},
            ['resourceClaims[0].resourceClaimName: Invalid value: "-": a lowercase RFC 1123 subdomain must consist'],
        ),
        (
            {"containers": [{**CONTAINER, "resources": {"claims": [{"name": "b"}]}}]},
            [
                'containers[0].resources.claims[0]: Not found: "b": must be one of the names in '
                "pod.spec.resourceClaims which is empty"
            ],
        ),
        (
            {
                "name": "-",
                "volumes": [{"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": {
                    "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1"}}}}}}],
            },
            ['volumes[0].name: Invalid value: "v": PVC name "--v": a lowercase RFC 1123 subdomain must consist'],
        ),
        (
            {"initContainers": [{**CONTAINER, "name": "i", "restartPolicy": "x", "livenessProbe": {}}]},
            [
                'initContainers[0].restartPolicy: Unsupported value: "x"',
                "initContainers[0].livenessProbe: Forbidden: may not be set for init containers",
            ],
        ),
    ],
)  # fmt: skip
def test_a_pod(spec, wrong):
    found = messages(**spec)
    assert len(found) == len(wrong), found
    assert all(message.startswith(beginning) for message, beginning in zip(found, wrong, strict=True)), found


def with_resources(limits=None, requests=None):
    return {"resources": {"limits": limits or {}, "requests": requests or {}}}


def test_a_whole_pod_has_what_its_containers_need():
    containers = [
        {**CONTAINER, **with_resources({"cpu": "3"}, {"cpu": "1500m"})},
        {**CONTAINER, "name": "d", **with_resources(requests={"cpu": "1"})},
    ]
    assert messages(containers=containers, **with_resources({"cpu": "2"}, {"cpu": "2"})) == [
        'resources.requests[cpu]: Invalid value: "2": must be greater than or equal to aggregate container requests of '
        "2500m",
        'resources.containers[0][cpu].limits: Invalid value: "3": must be less than or equal to pod limits of 2',
    ]


def test_what_a_whole_pod_does_not_say_comes_from_its_containers():
    containers = [{**CONTAINER, **with_resources({"memory": "1Gi", "hugepages-2Mi": "2Mi"})}]
    init = [{**CONTAINER, "name": "i", **with_resources(requests={"cpu": "3"})}]
    pod = {"metadata": {}, "spec": {"containers": containers, "initContainers": init, **with_resources({"cpu": "4"})}}
    core.POD.default(pod)
    assert pod["spec"]["resources"] == {
        "limits": {"cpu": "4", "hugepages-2Mi": "2Mi"},
        "requests": {"cpu": "3", "memory": "1Gi", "hugepages-2Mi": "2Mi"},
    }


def test_a_negative_grace_period_is_the_shortest():
    pod = {"metadata": {}, "spec": {"containers": [CONTAINER], "terminationGracePeriodSeconds": -5}}
    core.POD.default(pod)
    assert pod["spec"]["terminationGracePeriodSeconds"] == 1
