"""Slices of a pool of devices (KEP-4381): devices with attributes, capacity, taints, counters, and where they are."""

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from kajitori.api.field_errors import FieldError, duplicate, forbidden, invalid, required, too_long
from kajitori.api.meta import Object
from kajitori.api.quantity import compare, parse
from kajitori.api.quantity import value as whole_value
from kajitori.api.selectors import label_key_errors, label_value_errors
from kajitori.api.validation.checks import Errors, driver_name, limited, must, must_be_given, one_of
from kajitori.api.validation.dynamic_resources import TAINT_EFFECTS, each_of, qualified_name
from kajitori.api.validation.formats import label_errors, subdomain_errors
from kajitori.api.validation.placement import node_selector

_POOL_NAME_BYTES_MAX, _VALUE_BYTES_MAX, _KEY_SHOWN_MAX = 253, 64, 63 + 1 + 32
_DEVICES_MAX, _ADVANCED_DEVICES_MAX, _TAINTS_MAX, _CONDITIONS_MAX = 128, 64, 16, 4
_ENTRIES_MAX, _COUNTER_SETS_MAX, _COUNTERS_MAX, _CONSUMED_SETS_MAX = 32, 8, 32, 2
_VALID_VALUES_MAX = 10
_PLACES = ("nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection")
_ONE_PLACE = f"exactly one of {', '.join(f'`{name}`' for name in _PLACES)} is required"
_PLACE_OF_DEVICE = (
    "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true "
    "in the ResourceSlice spec"
)
_ONLY_PER_DEVICE = (
    "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the "
    "ResourceSlice spec"
)
_KINDS_OF_VALUE = ("bool", "int", "string", "version")
_SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(-(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(\.(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
    r"(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?",
    re.ASCII,
)


def validate_resource_slice(resource_slice: Object) -> list[FieldError]:
    return list(_resource_slice(resource_slice.get("spec") or {}))


def _resource_slice(spec: Object) -> Errors:
    yield from driver_name("spec.driver", spec.get("driver") or "")
    yield from _pool(spec.get("pool") or {})
    yield from _place(spec)
    devices, counters = spec.get("devices"), spec.get("sharedCounters")
    if devices is not None and counters is not None:
        yield invalid("spec", "", "only one of `sharedCounters` or `devices` is allowed")
    advanced = any(device.get("taints") or device.get("consumesCounters") for device in devices or ())
    most = _ADVANCED_DEVICES_MAX if advanced else _DEVICES_MAX
    elsewhere = spec.get("perDeviceNodeSelection") is True
    yield from each_of(spec, "devices", "spec", most, lambda at, each: _device(at, each, elsewhere), named="name")
    yield from each_of(spec, "sharedCounters", "spec", _COUNTER_SETS_MAX, _counter_set, named="name")


def _pool(pool: Object) -> Errors:
    name = pool.get("name") or ""
    if not name:
        yield required("spec.pool.name")
    else:
        if len(name) > _POOL_NAME_BYTES_MAX:
            yield too_long("spec.pool.name", name, _POOL_NAME_BYTES_MAX)
        for part in name.split("/"):
            yield from must("spec.pool.name", part, subdomain_errors(part))
    count = pool.get("resourceSliceCount", 0)
    if count <= 0:
        yield invalid("spec.pool.resourceSliceCount", count, "must be greater than zero")
    if pool.get("generation", 0) < 0:
        yield invalid("spec.pool.generation", pool["generation"], "must be greater than or equal to zero")


def _place(spec: Object) -> Errors:
    yield from _node_name("spec.nodeName", spec.get("nodeName"), "must be either unset or set to a non-empty string")
    selector = spec.get("nodeSelector")
    if selector is not None:
        yield from node_selector("spec.nodeSelector", selector)
        terms = selector.get("nodeSelectorTerms")
        if len(terms or ()) != 1:
            yield invalid("spec.nodeSelector.nodeSelectorTerms", terms, "must have exactly one node selector term")
    yield from _set_flag("spec.allNodes", spec.get("allNodes"))
    yield from _set_flag("spec.perDeviceNodeSelection", spec.get("perDeviceNodeSelection"))
    given = _given(spec, _PLACES)
    if not given:
        yield required("spec", _ONE_PLACE)
    elif len(given) > 1:
        yield invalid("spec", _listed(given), f"{_ONE_PLACE}, but multiple fields are set")


def _node_name(path: str, name: str | None, when_empty: str) -> Errors:
    if name == "":
        yield invalid(path, "", when_empty)
    elif name is not None:
        yield from must(path, name, subdomain_errors(name))


def _set_flag(path: str, flag: bool | None) -> Errors:
    if flag is False:
        yield invalid(path, False, "must be either unset or set to true")


def _given(holder: Object, fields: Sequence[str]) -> list[str]:
    """Those that say something; a selector says something even when it is empty."""
    return [
        field for field in fields if holder.get(field) or (field == "nodeSelector" and holder.get(field) is not None)
    ]


def _listed(fields: Sequence[str]) -> str:
    return "{" + ", ".join(f"`{field}`" for field in fields) + "}"


def _device(path: str, device: Object, elsewhere: bool) -> Errors:
    name, attributes, capacity = device.get("name") or "", device.get("attributes"), device.get("capacity")
    yield from must(f"{path}.name", name, label_errors(name))
    entries = len(attributes or {}) + len(capacity or {})
    if entries > _ENTRIES_MAX:
        detail = f"the total number of attributes and capacities must not exceed {_ENTRIES_MAX}"
        yield invalid(path, entries, detail)
    shared = bool(device.get("allowMultipleAllocations"))
    yield from _entries(f"{path}.attributes", attributes, qualified_name, _attribute)
    yield from _entries(f"{path}.capacity", capacity, qualified_name, _shared_capacity if shared else _capacity)
    yield from each_of(device, "taints", path, _TAINTS_MAX, _taint)
    yield from each_of(device, "consumesCounters", path, _CONSUMED_SETS_MAX, _consumption, named="counterSet")
    yield from _place_of_device(path, device, elsewhere)
    yield from _binding(path, device)


def _entries(
    path: str,
    entries: Mapping[str, Any] | None,
    key_errors: Callable[[str, str], Errors],
    errors: Callable[[str, Any], Errors],
) -> Errors:
    for key, value in sorted((entries or {}).items()):
        yield from key_errors(path, key)
        yield from errors(f"{path}[{_shortened(key)}]", value)


def _shortened(key: str) -> str:
    if len(key) <= _KEY_SHOWN_MAX:
        return key
    rest = _KEY_SHOWN_MAX - len("...")
    return f"{key[: (rest + 1) // 2]}...{key[len(key) - rest // 2 :]}"


def _attribute(path: str, attribute: Object) -> Errors:
    text, version = attribute.get("string"), attribute.get("version")
    if text is not None and len(text) > _VALUE_BYTES_MAX:
        yield too_long(f"{path}.string", text, _VALUE_BYTES_MAX)
    if version is not None:
        if not _SEMVER.fullmatch(version):
            yield invalid(f"{path}.version", version, "must be a string compatible with semver.org spec 2.0.0")
        if len(version) > _VALUE_BYTES_MAX:
            yield too_long(f"{path}.version", version, _VALUE_BYTES_MAX)
    given = [kind for kind in _KINDS_OF_VALUE if attribute.get(kind) is not None]
    if len(given) != 1:
        yield invalid(path, attribute if given else "", "exactly one value must be specified")


def _capacity(path: str, capacity: Object) -> Errors:
    if capacity.get("requestPolicy") is not None:
        yield forbidden(f"{path}.requestPolicy", "allowMultipleAllocations must be true")


def _shared_capacity(path: str, capacity: Object) -> Errors:
    policy = capacity.get("requestPolicy")
    if policy is None:
        return
    at, values, between = f"{path}.requestPolicy", policy.get("validValues"), policy.get("validRange")
    default, most = policy.get("default"), capacity.get("value") or "0"
    if values and between is not None:
        detail = 'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time'
        yield forbidden(at, detail)
    elif default is None and (values or between is not None):
        yield required(f"{at}.default", f"required when {'validValues' if values else 'validRange'} is defined")
    elif values:
        yield from _valid_values(f"{at}.validValues", values, default, most)
    elif between is not None:
        yield from _valid_range(f"{at}.validRange", between, default, most)


def _valid_values(path: str, values: Sequence[str], default: str, most: str) -> Errors:
    for index, (one, following) in enumerate(pairwise(values)):
        if compare(one, following) > 0:
            yield invalid(f"{path}[{index + 1}]", following, "values must be sorted in ascending order")
    beyond = list(limited(path, values, _VALID_VALUES_MAX))
    yield from beyond
    if not beyond:
        for index, value in enumerate(values):
            if compare(value, most) > 0:
                yield invalid(f"{path}[{index}]", value, f"option is larger than capacity value: {most}")
        whole = [str(whole_value(value)) for value in values]
        for index, amount in enumerate(whole):
            if amount in whole[:index]:
                yield duplicate(f"{path}[{index}]", amount)
    if beyond or all(compare(value, default) for value in values):
        yield invalid(path, default, "default value is not valid according to the requestPolicy")


def _valid_range(path: str, between: Object, default: str, most: str) -> Errors:
    least, greatest, step = between.get("min"), between.get("max"), between.get("step")
    if least is None:
        yield required(f"{path}.min", "required when validRange is defined")
        return
    if compare(least, most) > 0:
        yield invalid(f"{path}.min", least, f"min is larger than capacity value: {most}")
    if compare(default, least) < 0:
        yield invalid(f"{path}.min", default, f"default is less than min: {least}")
    if greatest is not None:
        if compare(least, greatest) > 0:
            yield invalid(f"{path}.max", least, f"min is larger than max: {greatest}")
        if compare(greatest, most) > 0:
            yield invalid(f"{path}.max", greatest, f"max is larger than capacity value: {most}")
        if compare(default, greatest) > 0:
            yield invalid(f"{path}.max", default, f"default is more than max: {greatest}")
    if step is not None:
        yield from _whole_steps(f"{path}.step", [default] if greatest is None else [default, greatest], least, step)


def _whole_steps(path: str, values: Sequence[str], least: str, step: str) -> Errors:
    width = parse(step).nanos
    for value in values:
        if width and (parse(value).nanos - parse(least).nanos) % width:
            yield invalid(path, value, f"value is not a multiple of a given step ({step}) from ({least})")


def _taint(path: str, taint: Object) -> Errors:
    key, value, effect = taint.get("key") or "", taint.get("value") or "", taint.get("effect") or ""
    yield from must(f"{path}.key", key, label_key_errors(key))
    yield from must(f"{path}.value", value, label_value_errors(value))
    if effect:
        yield from one_of(f"{path}.effect", effect, TAINT_EFFECTS)
    else:
        yield required(f"{path}.effect")


def _counter_set(path: str, counters: Object) -> Errors:
    yield from must_be_given(f"{path}.name", counters.get("name"), label_errors)
    yield from _counters(path, counters)


def _consumption(path: str, consumed: Object) -> Errors:
    yield from must_be_given(f"{path}.counterSet", consumed.get("counterSet"), label_errors)
    yield from _counters(path, consumed)


def _counters(path: str, holder: Object) -> Errors:
    """Every amount is right."""
    counters, at = holder.get("counters"), f"{path}.counters"
    if not counters:
        yield required(at)
        return
    beyond = list(limited(at, counters, _COUNTERS_MAX))
    yield from beyond
    for name in sorted(counters) if not beyond else ():
        yield from must(at, name, label_errors(name))


def _place_of_device(path: str, device: Object, elsewhere: bool) -> Errors:
    if not elsewhere:
        if any(device.get(field) is not None for field in _PLACES[:3]):
            yield invalid(path, None, _ONLY_PER_DEVICE)
        return
    yield from _node_name(f"{path}.nodeName", device.get("nodeName"), "must not be empty")
    if device.get("nodeSelector") is not None:
        yield from node_selector(f"{path}.nodeSelector", device["nodeSelector"])
    yield from _set_flag(f"{path}.allNodes", device.get("allNodes"))
    given = _given(device, _PLACES[:3])
    if not given:
        yield required(path, _PLACE_OF_DEVICE)
    elif len(given) > 1:
        yield invalid(path, _listed(given), _PLACE_OF_DEVICE)


def _binding(path: str, device: Object) -> Errors:
    fields = ("bindingConditions", "bindingFailureConditions")
    conditions, failures = (device.get(field) for field in fields)
    for field in fields:
        at, names = f"{path}.{field}", device.get(field) or []
        beyond = list(limited(at, names, _CONDITIONS_MAX))
        yield from beyond
        for index, name in enumerate(names) if not beyond else ():
            yield from must(f"{at}[{index}]", name, label_key_errors(name))
    for field in fields:
        names = device.get(field) or []
        for index, name in enumerate(names):
            at = f"{path}.{field}[{index}]"
            if name in names[:index]:
                yield duplicate(at, name)
            if field == fields[1] and name in (conditions or ()):
                yield invalid(at, name, "bindingFailureConditions must not overlap with bindingConditions")
    if not conditions and failures:
        detail = "bindingConditions are required to use bindingFailureConditions"
        yield invalid(f"{path}.bindingConditions", conditions, detail)
    if not failures and conditions:
        detail = "bindingFailureConditions are required to use bindingConditions"
        yield invalid(f"{path}.bindingFailureConditions", failures, detail)
