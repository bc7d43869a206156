"""Dynamic resources (KEP-4381): claims, classes and slices of devices."""

import re

from kajitori.api.field_errors import FieldError, duplicate, invalid, required, too_long
from kajitori.api.meta import Object
from kajitori.api.selectors import label_key_errors
from kajitori.api.validation.checks import Errors, each, must, must_be_given, one_of, same_as_before, when_given
from kajitori.api.validation.formats import label_errors, subdomain_errors
from kajitori.api.validation.placement import node_selector

_POOL_NAME_BYTES_MAX = 253
_IDENTIFIER_MAX, _DRIVER_NAME_BYTES_MAX = 32, 63
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_IDENTIFIER_RULE = (
    "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters "
    "or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')"
)
_UNKNOWN_REQUEST = (
    "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
)
_ONE_ATTRIBUTE = 'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set'


def validate_resource_claim(claim: Object) -> list[FieldError]:
    return list(_claim_spec("spec", claim.get("spec") or {}))


def validate_resource_claim_template(template: Object) -> list[FieldError]:
    return list(_claim_spec("spec.spec", (template.get("spec") or {}).get("spec") or {}))


def _claim_spec(path: str, spec: Object) -> Errors:
    names: set[str] = set()
    devices, nested = spec.get("devices") or {}, set[str]()
    for request, at in each(spec.get("devices") or {}, "requests", f"{path}.devices"):
        name = request.get("name") or ""
        yield from must(f"{at}.name", name, label_errors(name))
        exactly, choices = request.get("exactly"), request.get("firstAvailable")
        if exactly is not None and choices:
            yield invalid(at, request, "exactly one of `exactly` or `firstAvailable` is required, but both are set")
        elif exactly is None and not choices:
            yield required(at, "exactly one of `exactly` or `firstAvailable` is required")
        if exactly is not None:
            yield from _device_request(f"{at}.exactly", exactly)
        for asked, asked_at in each(request, "firstAvailable", at):
            yield from must(f"{asked_at}.name", asked.get("name") or "", label_errors(asked.get("name") or ""))
            yield from _device_request(asked_at, asked)
            nested.add(f"{name}/{asked.get('name') or ''}")
        if name and name in names:
            yield duplicate(at, name)
        names.add(name)
    for constraint, at in each(devices, "constraints", f"{path}.devices"):
        yield from _requests(at, constraint, names | nested)
        yield from _constraint(at, constraint)
    for config, at in each(devices, "config", f"{path}.devices"):
        yield from _requests(at, config, names | nested)
        yield from _opaque(at, config)


def _requests(path: str, holder: Object, known: set[str]) -> Errors:
    seen: set[str] = set()
    for index, name in enumerate(holder.get("requests") or ()):
        at = f"{path}.requests[{index}]"
        if name not in known:
            yield invalid(at, name, _UNKNOWN_REQUEST)
        if name in seen:
            yield duplicate(at, name)
        seen.add(name)


def _constraint(path: str, constraint: Object) -> Errors:
    given = [field for field in ("matchAttribute", "distinctAttribute") if constraint.get(field) is not None]
    if len(given) != 1:
        yield required(path, _ONE_ATTRIBUTE)
        return
    name = constraint[given[0]]
    at = f"{path}.{given[0]}"
    domain, slash, identifier = name.partition("/")
    if not slash:
        if len(name) > _IDENTIFIER_MAX:
            yield too_long(at, name, _IDENTIFIER_MAX)
        yield invalid(at, name, "a fully qualified name must be a domain and a name separated by a slash")
        return
    if not domain:
        yield invalid(at, domain, "the domain must not be empty")
    else:
        yield from must(at, domain, subdomain_errors(domain))
    if not identifier:
        yield invalid(at, identifier, "the name must not be empty")
        return
    if len(identifier) > _IDENTIFIER_MAX:
        yield too_long(at, identifier, _IDENTIFIER_MAX)
    if not _IDENTIFIER.fullmatch(identifier):
        yield invalid(at, identifier, _IDENTIFIER_RULE)


def _opaque(path: str, config: Object) -> Errors:
    opaque = config.get("opaque")
    if opaque is None:
        yield required(f"{path}.opaque")
        return
    if len(opaque.get("driver") or "") > _DRIVER_NAME_BYTES_MAX:
        yield too_long(f"{path}.opaque.driver", opaque["driver"], _DRIVER_NAME_BYTES_MAX)
    yield from must_be_given(f"{path}.opaque.driver", opaque.get("driver"), subdomain_errors)
    parameters = opaque.get("parameters")
    if parameters is None:
        yield required(f"{path}.opaque.parameters")
    elif not isinstance(parameters, dict):
        yield invalid(f"{path}.opaque.parameters", "<value omitted>", "must be a valid JSON object")


def _tolerations(path: str, asked: Object) -> Errors:
    for toleration, at in each(asked, "tolerations", path):
        operator, effect = toleration.get("operator") or "", toleration.get("effect") or ""
        yield from when_given(f"{at}.key", toleration.get("key"), label_key_errors)
        if operator == "Exists":
            if toleration.get("value"):
                yield invalid(f"{at}.value", toleration["value"], "must be empty for operator `Exists`")
        elif operator != "Equal":
            yield from one_of(f"{at}.operator", operator, ("Equal", "Exists"))
        if effect:
            yield from one_of(f"{at}.effect", effect, ("NoExecute", "NoSchedule", "None"))


def validate_device_class(device_class: Object) -> list[FieldError]:
    spec = device_class.get("spec") or {}
    return [error for config, at in each(spec, "config", "spec") for error in _opaque(at, config)]


def _device_request(path: str, asked: Object) -> Errors:
    device_class = asked.get("deviceClassName") or ""
    if not device_class:
        yield required(f"{path}.deviceClassName")
    else:
        yield from must(f"{path}.deviceClassName", device_class, subdomain_errors(device_class))
    mode = asked.get("allocationMode") or ""
    if mode == "ExactCount":
        if asked.get("count", 0) <= 0:
            yield invalid(f"{path}.count", asked.get("count", 0), "must be greater than zero")
    elif mode == "All":
        if asked.get("count"):
            yield invalid(f"{path}.count", asked["count"], "must not be specified when allocationMode is 'All'")
    else:
        yield from one_of(f"{path}.allocationMode", mode, ("All", "ExactCount"))
    for selector, at in each(asked, "selectors", path):
        if selector.get("cel") is None:
            yield required(f"{at}.cel")
    yield from _tolerations(path, asked)


def validate_resource_claim_update(new: Object, old: Object) -> list[FieldError]:
    return list(same_as_before("spec", new.get("spec"), old.get("spec")))


_PLACES = ("nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection")


def validate_resource_slice(resource_slice: Object) -> list[FieldError]:
    return list(_resource_slice(resource_slice.get("spec") or {}))


def _resource_slice(spec: Object) -> Errors:
    driver = spec.get("driver") or ""
    if not driver:
        yield required("spec.driver")
    else:
        if len(driver) > 63:
            yield too_long("spec.driver", driver, 63)
        yield from must("spec.driver", driver, subdomain_errors(driver))
    yield from _pool(spec.get("pool") or {})
    if spec.get("nodeName") == "":
        yield invalid("spec.nodeName", "", "must be either unset or set to a non-empty string")
    for flag in ("allNodes", "perDeviceNodeSelection"):
        if spec.get(flag) is False:
            yield invalid(f"spec.{flag}", False, "must be either unset or set to true")
    given = [name for name in _PLACES if spec.get(name)]
    if not given:
        listed = ", ".join(f"`{name}`" for name in _PLACES)
        yield required("spec", f"exactly one of {listed} is required")
    elif len(given) > 1:
        listed = ", ".join(f"`{name}`" for name in given)
        choices = ", ".join(f"`{name}`" for name in _PLACES)
        yield invalid("spec", "{" + listed + "}", f"exactly one of {choices} is required, but multiple fields are set")
    if spec.get("nodeName"):
        yield from must("spec.nodeName", spec["nodeName"], subdomain_errors(spec["nodeName"]))
    if spec.get("nodeSelector") is not None:
        yield from node_selector("spec.nodeSelector", spec["nodeSelector"])
    names: set[str] = set()
    for device, at in each(spec, "devices", "spec"):
        name = device.get("name") or ""
        yield from must(f"{at}.name", name, label_errors(name))
        if name in names:
            yield duplicate(at, name)
        names.add(name)


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
