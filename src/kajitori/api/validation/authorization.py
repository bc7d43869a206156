"""Roles, bindings and access reviews."""

from kajitori.api.defaults.cluster import RBAC_GROUP
from kajitori.api.field_errors import FieldError, InOrder, forbidden, invalid, required
from kajitori.api.meta import Object
from kajitori.api.selectors import label_key_errors, label_value_errors
from kajitori.api.validation.checks import Errors, each, label_selector, must, unsupported
from kajitori.api.validation.formats import path_segment_errors, subdomain_errors


def validate_role(role: Object) -> list[FieldError]:
    return list(_rules(role, namespaced=True))


def validate_cluster_role(role: Object) -> list[FieldError]:
    return [*_rules(role, namespaced=False), *_aggregation(role)]


def _rules(role: Object, *, namespaced: bool) -> Errors:
    for index, rule in enumerate(role.get("rules") or ()):
        path, urls = f"rules[{index}]", rule.get("nonResourceURLs")
        if not rule.get("verbs"):
            yield required(f"{path}.verbs", "verbs must contain at least one value")
        if urls:
            if namespaced:
                detail = "namespaced rules cannot apply to non-resource URLs"
                yield invalid(f"{path}.nonResourceURLs", urls, detail)
            if any(rule.get(field) for field in ("apiGroups", "resources", "resourceNames")):
                detail = "rules cannot apply to both regular resources and non-resource URLs"
                yield invalid(f"{path}.nonResourceURLs", urls, detail)
            continue
        if not rule.get("apiGroups"):
            yield required(f"{path}.apiGroups", "resource rules must supply at least one api group")
        if not rule.get("resources"):
            yield required(f"{path}.resources", "resource rules must supply at least one resource")


def _aggregation(role: Object) -> Errors:
    aggregation = role.get("aggregationRule")
    if aggregation is None:
        return
    if not aggregation.get("clusterRoleSelectors"):
        detail = "at least one clusterRoleSelector required if aggregationRule is non-nil"
        yield required("aggregationRule.clusterRoleSelectors", detail)
    for selector, at in each(aggregation, "clusterRoleSelectors", "aggregationRule"):
        errors = list(label_selector(at, selector))
        yield from errors
        if errors:
            yield invalid(at, None, "invalid label selector.")


def validate_role_binding(binding: Object) -> list[FieldError]:
    return list(_binding(binding, ("Role", "ClusterRole"), namespaced=True))


def validate_cluster_role_binding(binding: Object) -> list[FieldError]:
    return list(_binding(binding, ("ClusterRole",), namespaced=False))


def _binding(binding: Object, kinds: tuple[str, ...], *, namespaced: bool) -> Errors:
    role = binding.get("roleRef") or {}
    if role.get("apiGroup") != RBAC_GROUP:
        yield unsupported("roleRef.apiGroup", role.get("apiGroup") or "", (RBAC_GROUP,))
    if role.get("kind") not in kinds:
        yield unsupported("roleRef.kind", role.get("kind") or "", kinds)
    name = role.get("name") or ""
    if not name:
        yield required("roleRef.name")
    else:
        yield from must("roleRef.name", name, path_segment_errors(name))
    for index, subject in enumerate(binding.get("subjects") or ()):
        yield from _subject(f"subjects[{index}]", subject, namespaced)


def _subject(path: str, subject: Object, namespaced: bool) -> Errors:
    name, kind, group = subject.get("name") or "", subject.get("kind") or "", subject.get("apiGroup") or ""
    if not name:
        yield required(f"{path}.name")
    if kind == "ServiceAccount":
        if name:
            yield from must(f"{path}.name", name, subdomain_errors(name))
        if group:
            yield unsupported(f"{path}.apiGroup", group, ("",))
        if not namespaced and not subject.get("namespace"):
            yield required(f"{path}.namespace")
    elif kind in ("User", "Group"):
        if group != RBAC_GROUP:
            yield unsupported(f"{path}.apiGroup", group, (RBAC_GROUP,))
    else:
        yield unsupported(f"{path}.kind", kind, ("ServiceAccount", "User", "Group"))


def _selector_requirement(path: str, requirement: Object, named: bool) -> Errors:
    """`named`: its key is a label's."""
    key, operator, values = requirement.get("key") or "", requirement.get("operator"), requirement.get("values") or ()
    if not named and not key:
        yield required(f"{path}.key", "must be specified")
    if operator in ("In", "NotIn") and not values:
        yield required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    elif operator in ("Exists", "DoesNotExist") and values:
        yield forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    if named:
        yield from must(f"{path}.key", key, label_key_errors(key))
        for index, value in enumerate(values):
            yield from must(f"{path}.values[{index}]", value, label_value_errors(value))


def validate_self_access_review(review: Object) -> list[FieldError]:
    return [*_asked(review), *_selectors(review), *_bare(review)]


def validate_access_review(review: Object) -> list[FieldError]:
    return [*_asked(review), *_subject_given(review), *_selectors(review), *_bare(review)]


def validate_local_access_review(review: Object) -> list[FieldError]:
    return [
        *_asked(review),
        *_subject_given(review),
        *_selectors(review),
        *_bare(review, "namespace", detail="must be empty except for namespace"),
        *_in_its_namespace(review),
    ]


def _asked(review: Object) -> Errors:
    spec = review.get("spec") or {}
    given = [spec.get("resourceAttributes") is not None, spec.get("nonResourceAttributes") is not None]
    if all(given):
        yield _path_asked(spec, "cannot be specified in combination with resourceAttributes")
    elif not any(given):
        detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        yield invalid("spec.resourceAttributes", None, detail)


def _path_asked(spec: Object, detail: str) -> FieldError:
    """The value as Go shows a struct whose fields have no names in documents."""
    asked = spec["nonResourceAttributes"]
    shown = InOrder(Path=asked.get("path") or "", Verb=asked.get("verb") or "")
    return invalid("spec.nonResourceAttributes", shown, detail)


def _subject_given(review: Object) -> Errors:
    spec = review.get("spec") or {}
    if not spec.get("user") and not spec.get("groups"):
        yield invalid("spec.user", spec.get("user") or "", "at least one of user or group must be specified")


def _selectors(review: Object) -> Errors:
    """Of the resource attributes. Operators may be newer than this server."""
    asked = (review.get("spec") or {}).get("resourceAttributes") or {}
    for field, named in (("fieldSelector", False), ("labelSelector", True)):
        selector, at = asked.get(field), f"spec.resourceAttributes.{field}"
        if selector is None:
            continue
        raw, requirements = selector.get("rawSelector"), selector.get("requirements")
        if raw and requirements:
            yield invalid(f"{at}.rawSelector", raw, "may not specified at the same time as requirements")
        if not raw and not requirements:
            detail = f"when {at} is specified, requirements or rawSelector is required"
            yield required(f"{at}.requirements", detail)
        for requirement, path in each(selector, "requirements", at):
            yield from _selector_requirement(path, requirement, named)


_METADATA = (
    *("name", "generateName", "namespace", "resourceVersion", "generation"),
    *("labels", "annotations", "ownerReferences", "finalizers", "managedFields"),
)


def _bare(review: Object, *allowed: str, detail: str = "must be empty") -> Errors:
    """A review is never stored: its metadata says nothing, but who wrote which field."""
    said = {field: value for field, value in (review.get("metadata") or {}).items() if value}
    if said.keys() - {"managedFields", *allowed}:
        yield invalid("metadata", InOrder({field: said[field] for field in _METADATA if field in said}), detail)


def _in_its_namespace(review: Object) -> Errors:
    spec, namespace = review.get("spec") or {}, (review.get("metadata") or {}).get("namespace") or ""
    asked = spec.get("resourceAttributes")
    if asked is not None and (asked.get("namespace") or "") != namespace:
        field = "spec.resourceAttributes.namespace"
        yield invalid(field, asked.get("namespace") or "", "must match metadata.namespace")
    if spec.get("nonResourceAttributes") is not None:
        yield _path_asked(spec, "disallowed on this kind of request")
