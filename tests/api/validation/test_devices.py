"""Devices: what selects them, and what slices say of them. The sentences are upstream's."""

import pytest

from kajitori.api import dynamic_resources
from kajitori.api.expressions.devices import selector_error
from kajitori.api.field_errors import FieldError, as_sent, invalid

A = "device.attributes['d.x']"


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("device.driver == 'd.x'", ""),
        (f"{A}.model == 'a' && {A}.count > 3 && device.capacity['d.x'].memory.isGreaterThan(quantity('1Gi'))", ""),
        (f"{A}.flag", ""),
        (f"cel.bind(own, {A}, own.flag && own.other)", ""),
        ("device.driver", "must evaluate to bool or the unknown type, not string"),
        (A, "must evaluate to bool or the unknown type, not map(string, google.protobuf.Any)"),
        ("device.foo", "undefined field 'foo'"),
        (f"{A}.list.all(x, x)", "expression of type 'any' cannot be range of a comprehension"),
        ("object.x", "undeclared reference to 'object'"),
        ("cel.bind(a.b, 1, true)", "cel.bind() variable names must be simple identifiers"),
        ("[1,2,3].all(i, device.attributes.all(k, device.attributes[k].all(x, k.matches('a+'))))", ""),
        (
            "[1,2,3].all(i, device.attributes.all(k, device.attributes.all(l, device.attributes[k].all(x, "
            "device.driver.matches('a+b+')))))",
            "too complex, exceeds cost limit",
        ),
        ("", "compilation failed: ERROR: <input>:1:0: Syntax error: mismatched input '<EOF>' expecting {'[', "),
        ("true" + " " * 10240, "may not be more than 10240 bytes"),
    ],
)
def test_an_expression_that_selects_devices(source: str, wrong: str) -> None:
    error = selector_error("spec", source)
    assert (error is None) == (not wrong) and wrong in str(error or "")


def slices(**fields):
    spec = {
        "driver": "d.x",
        "nodeName": "n",
        "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1},
        **fields,
    }
    obj = {"metadata": {"name": "s"}, "spec": {name: value for name, value in spec.items() if value is not None}}
    return [str(error) for error in dynamic_resources.RESOURCE_SLICE.validate(obj)]


def device(**fields):
    return [message.removeprefix("spec.devices[0]") for message in slices(devices=[{"name": "d", **fields}])]


CONSUMED = {"counterSet": "s", "counters": {"c": {"value": "1"}}}
SHARED = {"allowMultipleAllocations": True}


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"attributes": {"a": {"version": "1.2.3-rc.1+b"}, "d.x/b": {"int": 1}}}, []),
        ({"attributes": {"a": {}}}, ['.attributes[a]: Invalid value: "": exactly one value must be specified']),
        (
            {"attributes": {"a": {"string": "x" * 65}}},
            [".attributes[a].string: Too long: may not be more than 64 bytes"],
        ),
        (
            {"attributes": {"a": {"version": "1.2"}}},
            ['.attributes[a].version: Invalid value: "1.2": must be a string compatible with semver.org spec 2.0.0'],
        ),
        ({"attributes": {"/a": {"int": 1}}}, ['.attributes: Invalid value: "": the domain must not be empty']),
        (
            {"capacity": {"m": {"value": "1", "requestPolicy": {}}}},
            [".capacity[m].requestPolicy: Forbidden: allowMultipleAllocations must be true"],
        ),
        (
            {**SHARED, "capacity": {"m": {"value": "5", "requestPolicy": {"default": "3", "validValues": ["2", "1"]}}}},
            [
                '.capacity[m].requestPolicy.validValues[1]: Invalid value: "1": values must be sorted in ascending '
                "order",
                '.capacity[m].requestPolicy.validValues: Invalid value: "3": default value is not valid according to '
                "the requestPolicy",
            ],
        ),
        (
            {
                **SHARED,
                "capacity": {"m": {"value": "5", "requestPolicy": {"default": "3", "validRange": {"min": "4"}}}},
            },
            ['.capacity[m].requestPolicy.validRange.min: Invalid value: "3": default is less than min: 4'],
        ),
        (
            {"taints": [{"key": "k", "effect": "x"}]},
            ['.taints[0].effect: Unsupported value: "x": supported values: "NoExecute", "NoSchedule", "None"'],
        ),
        ({"taints": [{"key": "k"}]}, [".taints[0].effect: Required value"]),
        ({"consumesCounters": [CONSUMED, CONSUMED]}, ['.consumesCounters[1]: Duplicate value: "s"']),
        ({"consumesCounters": [{"counterSet": "s"}]}, [".consumesCounters[0].counters: Required value"]),
        (
            {"nodeName": "n"},
            [
                ": Invalid value: null: `nodeName`, `nodeSelector` and `allNodes` can only be set if "
                "`perDeviceNodeSelection` is set to true in the ResourceSlice spec"
            ],
        ),
        (
            {"bindingConditions": ["a"], "bindingFailureConditions": ["a"]},
            [
                '.bindingFailureConditions[0]: Invalid value: "a": bindingFailureConditions must not overlap with '
                "bindingConditions"
            ],
        ),
    ],
)
def test_a_device(fields, wrong):
    assert device(**fields) == wrong


def test_a_slice():
    assert slices(devices=[{"name": "d"}], sharedCounters=[]) == [
        'spec: Invalid value: "": only one of `sharedCounters` or `devices` is allowed'
    ]
    assert slices(sharedCounters=[{"name": "s", "counters": {"c": {"value": "1"}}}] * 2) == [
        'spec.sharedCounters[1]: Duplicate value: "s"'
    ]
    assert slices(devices=[{"name": f"d{n}"} for n in range(129)]) == [
        "spec.devices: Too many: 129: must have at most 128 items"
    ]
    elsewhere = slices(
        nodeName=None, perDeviceNodeSelection=True, devices=[{"name": "a"}, {"name": "b", "nodeName": ""}]
    )
    assert [message.partition(": ")[0] for message in elsewhere] == [
        "spec.devices[0]",
        "spec.devices[1].nodeName",
        "spec.devices[1]",
    ]


def test_a_class_of_devices():
    def found(**spec):
        return [str(e) for e in dynamic_resources.DEVICE_CLASS.validate({"metadata": {"name": "c"}, "spec": spec})]

    assert found(extendedResourceName="e.x/gpu", selectors=[{"cel": {"expression": "true"}}]) == []
    assert found(extendedResourceName="x", selectors=[{}]) == [
        "spec.selectors[0].cel: Required value",
        'spec.extendedResourceName: Invalid value: "x": must be a valid extended resource name',
    ]


def test_a_taint_is_as_old_as_its_slice():
    obj = {
        "metadata": {"name": "s", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"devices": [{"name": "d", "taints": [{"key": "k"}, {"key": "l", "timeAdded": "then"}]}]},
    }
    dynamic_resources.RESOURCE_SLICE.prepare_create(obj)
    assert [taint["timeAdded"] for taint in obj["spec"]["devices"][0]["taints"]] == ["2026-01-01T00:00:00Z", "then"]


def test_what_was_sent_empty_is_shown_empty():
    errors = [invalid(path, None, "why") for path in ("spec.a", "spec.b[1].c", "spec.b[7].c", "spec.x")]
    sent = {"spec": {"a": {}, "b": [{}, {"c": []}], "x": 5}}
    assert [error.value for error in as_sent(errors, sent)] == [{}, [], None, None]
    elsewhere = FieldError("FieldValueInvalid", "spec", None, "why", value_field="spec.b[1].c")
    assert as_sent([elsewhere], sent)[0].value == []
