"""Validating and mutating admission policies with their bindings."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kajitori.api.field_errors import FieldError, duplicate, forbidden, invalid, required
from kajitori.api.meta import Object
from kajitori.api.selectors import label_key_errors
from kajitori.api.validation.admission import match_conditions, rule_errors
from kajitori.api.validation.checks import (
    Errors,
    each,
    label_selector,
    must,
    must_be_given,
    one_of,
    optional_one_of,
    unsupported,
)
from kajitori.api.validation.formats import c_identifier, dns_1035_errors, path_segment_errors, subdomain_errors

if TYPE_CHECKING:
    from kajitori.api.validation.expressions import PolicyExpressions

_REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge")
_ANNOTATIONS_MAX, _ANNOTATION_EXPRESSION_MAX = 20, 5 * 1024
_MUTABLE = ("*", "CONNECT", "CREATE", "UPDATE")


def validate_validating_policy(policy: Object) -> list[FieldError]:
    return list(_validating_policy(policy["metadata"].get("name") or "", policy.get("spec") or {}))


def _validating_policy(name: str, spec: Object) -> Errors:
    yield from _policy_head(spec)
    expressions = _expressions(spec, composed=bool(spec.get("variables")))
    yield from _variables(spec, expressions)
    if not spec.get("validations") and not spec.get("auditAnnotations"):
        detail = "validations or auditAnnotations must contain at least one item"
        yield required("spec.validations", detail)
        yield required("spec.auditAnnotations", detail)
    for validation, at in each(spec, "validations", "spec"):
        yield from _validation(at, validation, expressions)
    annotations = spec.get("auditAnnotations") or []
    if len(annotations) > _ANNOTATIONS_MAX:
        detail = f"must not have more than {_ANNOTATIONS_MAX} auditAnnotations"
        shown = [
            {"Key": note.get("key", ""), "ValueExpression": note.get("valueExpression", "")} for note in annotations
        ]
        yield invalid("spec.auditAnnotations", shown, detail)
    keys: set[str] = set()
    for annotation, at in each(spec, "auditAnnotations", "spec"):
        yield from _annotation(at, name, annotation, expressions)
        key = annotation.get("key") or ""
        if key in keys:
            yield duplicate(f"{at}.key", key)
        keys.add(key)


def _validation(path: str, validation: Object, expressions: "PolicyExpressions") -> Errors:
    source, made = validation.get("expression") or "", validation.get("messageExpression") or ""
    if not source.strip():
        yield required(f"{path}.expression", "expression is not specified")
    else:
        yield from expressions.errors(f"{path}.expression", "validation", source)
    if made and not made.strip():
        yield invalid(f"{path}.messageExpression", made, "must be non-empty if specified")
    elif made:
        yield from expressions.errors(f"{path}.messageExpression", "message", made)
    message = validation.get("message") or ""
    if message and not message.strip():
        yield invalid(f"{path}.message", message, "must be non-empty if specified")
    elif "\n" in message.strip() or "\r" in message.strip():
        yield invalid(f"{path}.message", message, "must not contain line breaks")
    yield from optional_one_of(f"{path}.reason", validation.get("reason"), _REASONS)


def _annotation(path: str, policy: str, annotation: Object, expressions: "PolicyExpressions") -> Errors:
    key, given = annotation.get("key") or "", annotation.get("valueExpression") or ""
    if policy:
        yield from must(f"{path}.key", f"{policy}/{key}", label_key_errors(f"{policy}/{key}"))
    else:
        yield invalid(f"{path}.key", key, "requires metadata.name be non-empty")
    source = given.strip()
    if not source:
        yield required(f"{path}.valueExpression", "valueExpression is not specified")
    elif len(source) > _ANNOTATION_EXPRESSION_MAX:
        yield required(f"{path}.valueExpression", f"must not exceed {_ANNOTATION_EXPRESSION_MAX} bytes in length")
    else:
        yield from expressions.errors(f"{path}.valueExpression", "annotation", source, given)


def validate_mutating_policy(policy: Object) -> list[FieldError]:
    return list(_mutating_policy(policy.get("spec") or {}))


def _mutating_policy(spec: Object) -> Errors:
    yield from _policy_head(spec, mutating=True)
    expressions = _expressions(spec, composed=True)
    yield from _variables(spec, expressions)
    if not spec.get("mutations"):
        yield required("spec.mutations", "mutations must contain at least one item")
    for mutation, at in each(spec, "mutations", "spec"):
        yield from _mutation(at, mutation, expressions)
    policy = spec.get("reinvocationPolicy")
    if not policy:
        yield required("spec.reinvocationPolicy")
    else:
        yield from one_of("spec.reinvocationPolicy", policy, ("IfNeeded", "Never"))


_PATCHES = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}


def _mutation(path: str, mutation: Object, expressions: "PolicyExpressions") -> Errors:
    kind = mutation.get("patchType") or ""
    if not kind:
        yield required(f"{path}.patchType")
        return
    if kind not in _PATCHES:
        yield unsupported(f"{path}.patchType", kind, tuple(_PATCHES))
        return
    field = _PATCHES[kind]
    patch = mutation.get(field)
    if patch is None:
        yield required(f"{path}.{field}", f"must be specified when patchType is {kind}")
    elif not (source := (patch.get("expression") or "").strip()):
        yield required(f"{path}.{field}.expression")
    else:
        yield from expressions.errors(f"{path}.{field}.expression", field, source)
    for other in _PATCHES.values():
        if other != field and mutation.get(other) is not None:
            yield invalid(f"{path}.{other}", f"{{{other}}}", f"must not be specified when patchType is {kind}")


def _expressions(spec: Object, *, composed: bool) -> "PolicyExpressions":
    from kajitori.api.validation.expressions import PolicyExpressions

    return PolicyExpressions(spec, composed=composed)


def _variables(spec: Object, expressions: "PolicyExpressions") -> Errors:
    if not spec.get("variables"):
        return
    from kajitori.api.cel.types import KEYWORDS

    for variable, at in each(spec, "variables", "spec"):
        name, source = variable.get("name") or "", variable.get("expression") or ""
        if not name.strip():
            yield required(f"{at}.name", "name is not specified")
        elif not c_identifier(name) or name in KEYWORDS:
            yield invalid(f"{at}.name", name, "must be a valid CEL identifier")
        if not source.strip():
            yield required(f"{at}.expression", "expression is not specified")
        else:
            yield from expressions.variable(f"{at}.expression", name, source)


def _policy_head(spec: Object, *, mutating: bool = False) -> Errors:
    yield from optional_one_of("spec.failurePolicy", spec.get("failurePolicy"), ("Fail", "Ignore"))
    if (param := spec.get("paramKind")) is not None:
        yield from _param_kind("spec.paramKind", param)
    constraints = spec.get("matchConstraints")
    if constraints is None:
        yield required("spec.matchConstraints")
    else:
        yield from _match("spec.matchConstraints", constraints)
        if not constraints.get("resourceRules"):
            yield required("spec.matchConstraints.resourceRules")
        if mutating:
            yield from _mutable_operations("spec.matchConstraints", constraints)
    yield from match_conditions("spec", spec, params=param is not None)


def _param_kind(path: str, param: Object) -> Errors:
    api_version, kind = param.get("apiVersion") or "", param.get("kind") or ""
    if not api_version:
        yield required(f"{path}.apiVersion")
    elif api_version.count("/") > 1:
        yield invalid(f"{path}.apiVersion", api_version, f"unexpected GroupVersion string: {api_version}")
    else:
        group, _, version = ("", "", "") if api_version == "/" else api_version.rpartition("/")
        yield from _joined(f"{path}.apiVersion", group, subdomain_errors(group) if group else [])
        if not version:
            yield invalid(f"{path}.apiVersion", api_version, "version must be specified")
        else:
            yield from _joined(f"{path}.apiVersion", version, dns_1035_errors(version))
    if not kind:
        yield required(f"{path}.kind")
    else:
        prefix = "may have mixed case, but should otherwise match: "
        yield from _joined(f"{path}.kind", kind, dns_1035_errors(kind.lower()), prefix)


def _joined(path: str, value: str, problems: Sequence[str], prefix: str = "") -> Errors:
    if problems:
        yield invalid(path, value, prefix + ",".join(problems))


def _mutable_operations(path: str, match: Object) -> Errors:
    for rule in match.get("resourceRules") or ():
        for operation in rule.get("operations") or ():
            yield from one_of(f"{path}.resourceRules.operations", operation, _MUTABLE)


def _match(path: str, match: Object) -> Errors:
    if match.get("matchPolicy") is None:
        yield required(f"{path}.matchPolicy")
    else:
        yield from one_of(f"{path}.matchPolicy", match["matchPolicy"], ("Equivalent", "Exact"))
    for field in ("namespaceSelector", "objectSelector"):
        if match.get(field) is None:
            yield required(f"{path}.{field}")
        else:
            yield from label_selector(f"{path}.{field}", match[field])
    for field in ("resourceRules", "excludeResourceRules"):
        for rule, at in each(match, field, path):
            yield from _resource_names(f"{at}.resourceNames", rule.get("resourceNames") or ())
            yield from rule_errors(at, rule)


def _resource_names(path: str, names: Sequence[str]) -> Errors:
    for index, name in enumerate(names):
        yield from must(f"{path}[{index}]", name, path_segment_errors(name))
        if name in names[:index]:
            yield duplicate(f"{path}[{index}]", name)


def validate_policy_binding(binding: Object) -> list[FieldError]:
    return list(_policy_binding(binding.get("spec") or {}, mutating=False))


def validate_mutating_policy_binding(binding: Object) -> list[FieldError]:
    return list(_policy_binding(binding.get("spec") or {}, mutating=True))


def _policy_binding(spec: Object, *, mutating: bool) -> Errors:
    yield from must_be_given("spec.policyName", spec.get("policyName"), subdomain_errors)
    if (reference := spec.get("paramRef")) is not None:
        yield from _param_reference("spec.paramRef", reference)
    if (match := spec.get("matchResources")) is not None:
        yield from _match("spec.matchResources", match)
        if mutating:
            yield from _mutable_operations("spec.matchResources", match)
    if not mutating:
        yield from _actions("spec.validationActions", spec.get("validationActions") or [])


def _actions(path: str, given: Sequence[str]) -> Errors:
    if not given:
        yield required(path, "at least one validation action is required")
    for index, action in enumerate(given):
        at = f"{path}[{index}]"
        yield from one_of(at, action, ("Audit", "Deny", "Warn"))
        if action in given[:index]:
            yield duplicate(at, action)
    if "Deny" in given and "Warn" in given:
        detail = (
            "must not contain both Deny and Warn (repeating the same validation failure information in the API "
            "response and headers serves no purpose)"
        )
        yield invalid(path, list(given), detail)


def _param_reference(path: str, reference: Object) -> Errors:
    name, selector = reference.get("name") or "", reference.get("selector")
    exclusive = "name and selector are mutually exclusive"
    if name:
        yield from must(f"{path}.name", name, path_segment_errors(name))
        if selector is not None:
            yield forbidden(f"{path}.name", exclusive)
    if selector is not None:
        yield from label_selector(f"{path}.selector", selector)
        if name:
            yield forbidden(f"{path}.selector", exclusive)
    elif not name:
        yield required(path, "one of name or selector must be specified")
    action = reference.get("parameterNotFoundAction")
    if not action:
        yield required(f"{path}.parameterNotFoundAction")
    elif action not in ("Deny", "Allow"):
        yield unsupported(f"{path}.parameterNotFoundAction", action, ("Deny", "Allow"))
