"""Claims and classes of devices (KEP-4381)."""

from collections.abc import Callable, Iterator

from kajitori.api.field_errors import FieldError, duplicate, invalid, required, too_long
from kajitori.api.meta import Object
from kajitori.api.selectors import label_key_errors, label_value_errors
from kajitori.api.validation.checks import (
    Errors,
    driver_name,
    each,
    limited,
    must,
    must_be_given,
    one_of,
)
from kajitori.api.validation.formats import c_identifier, label_errors, subdomain_errors
from kajitori.api.validation.resources import is_extended

_IDENTIFIER_BYTES_MAX = 32
_REQUESTS_MAX = _CONSTRAINTS_MAX = _CONFIGS_MAX = _SELECTORS_MAX = 32
_CHOICES_MAX = 8
_IDENTIFIER_RULE = (
    "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters "
    "or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')"
)
_UNKNOWN_REQUEST = (
    "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
)
_ONE_ATTRIBUTE = 'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set'
_ONE_KIND = "exactly one of `exactly` or `firstAvailable` is required"
TAINT_EFFECTS = ("NoExecute", "NoSchedule", "None")

RequestNames = dict[str, set[str]]
"""Those of a claim's requests, each with the names of its choices."""


def validate_device_class(device_class: Object) -> list[FieldError]:
    return list(_device_class(device_class.get("spec") or {}))


def _device_class(spec: Object) -> Errors:
    yield from _selectors("spec", spec)
    yield from each_of(spec, "config", "spec", _CONFIGS_MAX, _opaque)
    name = spec.get("extendedResourceName")
    if name is not None and not is_extended(name):
        yield invalid("spec.extendedResourceName", name, "must be a valid extended resource name")


def validate_resource_claim(claim: Object) -> list[FieldError]:
    return list(_claim_spec("spec", claim.get("spec") or {}))


def validate_resource_claim_template(template: Object) -> list[FieldError]:
    return list(_claim_spec("spec.spec", (template.get("spec") or {}).get("spec") or {}))


def each_of(
    holder: Object,
    key: str,
    path: str,
    most: int,
    errors: Callable[[str, Object], Errors],
    named: str = "",
) -> Errors:
    """Those of a bounded list's items; of a set, the items are told apart by the field `named`."""
    beyond = list(limited(f"{path}.{key}", holder.get(key), most))
    if beyond:
        yield from beyond
        return
    for item, at in each(holder, key, path):
        yield from errors(at, item)
    seen: set[str] = set()
    for item, at in each(holder, key, path) if named else ():
        name = item.get(named) or ""
        if name in seen:
            yield duplicate(at, name)
        seen.add(name)


def _claim_spec(path: str, spec: Object) -> Errors:
    devices, at = spec.get("devices") or {}, f"{path}.devices"
    known = _request_names(devices)
    yield from each_of(devices, "requests", at, _REQUESTS_MAX, _request, named="name")
    yield from each_of(devices, "constraints", at, _CONSTRAINTS_MAX, lambda p, each: _constraint(p, each, known))
    yield from each_of(devices, "config", at, _CONFIGS_MAX, lambda p, each: _config(p, each, known))


def _request_names(devices: Object) -> RequestNames:
    return {
        request.get("name") or "": {choice.get("name") or "" for choice in request.get("firstAvailable") or ()}
        for request in devices.get("requests") or ()
    }


def _request(path: str, request: Object) -> Errors:
    name = request.get("name") or ""
    yield from must(f"{path}.name", name, label_errors(name))
    exactly, choices = request.get("exactly"), request.get("firstAvailable")
    if exactly is not None and choices:
        yield invalid(path, None, f"{_ONE_KIND}, but multiple fields are set")
    elif choices:
        yield from each_of(request, "firstAvailable", path, _CHOICES_MAX, _choice, named="name")
    elif exactly is not None:
        yield from _asked(f"{path}.exactly", exactly)
    else:
        yield required(path, _ONE_KIND)


def _choice(path: str, choice: Object) -> Errors:
    name = choice.get("name") or ""
    yield from must(f"{path}.name", name, label_errors(name))
    yield from _asked(path, choice)


def _asked(path: str, asked: Object) -> Errors:
    yield from must_be_given(f"{path}.deviceClassName", asked.get("deviceClassName"), subdomain_errors)
    yield from _selectors(path, asked)
    mode = asked.get("allocationMode") or ""
    if mode == "ExactCount":
        if asked.get("count", 0) <= 0:
            yield invalid(f"{path}.count", asked.get("count", 0), "must be greater than zero")
    elif mode == "All":
        if asked.get("count"):
            yield invalid(f"{path}.count", asked["count"], "must not be specified when allocationMode is 'All'")
    else:
        yield from one_of(f"{path}.allocationMode", mode, ("All", "ExactCount"))
    for toleration, at in each(asked, "tolerations", path):
        yield from _toleration(at, toleration)


def _selectors(path: str, holder: Object) -> Errors:
    yield from each_of(holder, "selectors", path, _SELECTORS_MAX, _selector)


def _selector(path: str, selector: Object) -> Errors:
    cel = selector.get("cel")
    if cel is None:
        yield required(f"{path}.cel")
        return
    from kajitori.api.expressions.devices import selector_error  # The language is loaded when there is an expression.

    error = selector_error(f"{path}.cel.expression", cel.get("expression") or "")
    if error is not None:
        yield error


def _toleration(path: str, toleration: Object) -> Errors:
    key, value = toleration.get("key") or "", toleration.get("value") or ""
    operator, effect = toleration.get("operator") or "", toleration.get("effect") or ""
    if key:
        yield from must(f"{path}.key", key, label_key_errors(key))
    if operator == "Exists":
        if value:
            yield invalid(f"{path}.value", value, "must be empty for operator `Exists`")
    elif operator == "Equal":
        yield from must(f"{path}.value", value, label_value_errors(value))
    else:
        yield from one_of(f"{path}.operator", operator, ("Equal", "Exists"))
    if effect:
        yield from one_of(f"{path}.effect", effect, TAINT_EFFECTS)


def _requests(path: str, holder: Object, known: RequestNames) -> Errors:
    names, at = holder.get("requests") or [], f"{path}.requests"
    beyond = list(limited(at, names, _REQUESTS_MAX))
    if beyond:
        yield from beyond
        return
    for index, name in enumerate(names):
        yield from _request_reference(f"{at}[{index}]", name, known)
    for index, name in enumerate(names):
        if name in names[:index]:
            yield duplicate(f"{at}[{index}]", name)


def _request_reference(path: str, name: str, known: RequestNames) -> Errors:
    parts = name.split("/")
    if len(parts) > 2:
        yield invalid(path, name, _UNKNOWN_REQUEST)
        return
    for part in parts:
        yield from must(path, part, label_errors(part))
    if parts[0] not in known or (len(parts) == 2 and parts[1] not in known[parts[0]]):
        yield invalid(path, name, _UNKNOWN_REQUEST)


def _constraint(path: str, constraint: Object, known: RequestNames) -> Errors:
    yield from _requests(path, constraint, known)
    for field in ("matchAttribute", "distinctAttribute"):
        if constraint.get(field) is not None:
            yield from _fully_qualified_name(f"{path}.{field}", constraint[field])
            return
    yield required(path, _ONE_ATTRIBUTE)


def _fully_qualified_name(path: str, name: str) -> Errors:
    yield from qualified_name(path, name)
    if "/" not in name:
        yield invalid(path, name, "a fully qualified name must be a domain and a name separated by a slash")


def qualified_name(path: str, name: str) -> Errors:
    """Of an attribute or a capacity. What has more than one slash is let through, as upstream does."""
    domain, slash, identifier = name.partition("/")
    if not slash:
        yield from _identifier(path, name)
    elif "/" not in identifier:
        if domain:
            yield from driver_name(path, domain)
        else:
            yield invalid(path, "", "the domain must not be empty")
        if identifier:
            yield from _identifier(path, identifier)
        else:
            yield invalid(path, "", "the name must not be empty")


def _identifier(path: str, name: str) -> Iterator[FieldError]:
    if len(name) > _IDENTIFIER_BYTES_MAX:
        yield too_long(path, name, _IDENTIFIER_BYTES_MAX)
    if not c_identifier(name):
        yield invalid(path, name, _IDENTIFIER_RULE)


def _config(path: str, config: Object, known: RequestNames) -> Errors:
    yield from _requests(path, config, known)
    yield from _opaque(path, config)


def _opaque(path: str, config: Object) -> Errors:
    opaque = config.get("opaque")
    if opaque is None:
        yield required(f"{path}.opaque")
        return
    yield from driver_name(f"{path}.opaque.driver", opaque.get("driver") or "")
    parameters = opaque.get("parameters")
    if parameters is None:
        yield required(f"{path}.opaque.parameters")
    elif not isinstance(parameters, dict):
        yield invalid(f"{path}.opaque.parameters", "<value omitted>", "must be a valid JSON object")
