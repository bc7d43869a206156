"""Where a pod may go: node selectors, affinity, tolerations, spreading, gates."""

from collections import Counter
from collections.abc import Sequence

from kajitori.api.field_errors import duplicate, forbidden, invalid, required
from kajitori.api.meta import Object
from kajitori.api.selectors import label_key_errors, label_value_errors
from kajitori.api.validation.checks import (
    Errors,
    each,
    label_selector,
    must,
    optional_one_of,
    unsupported,
)
from kajitori.api.validation.formats import label_errors, subdomain_errors

EFFECTS = ("NoExecute", "NoSchedule", "PreferNoSchedule")
_OPERATORS = ("Equal", "Exists")
_REQUIRED, _PREFERRED = (
    "requiredDuringSchedulingIgnoredDuringExecution",
    "preferredDuringSchedulingIgnoredDuringExecution",
)


def tolerations(path: str, spec: Object) -> Errors:
    for toleration, at in each(spec, "tolerations", path):
        key, operator = toleration.get("key") or "", toleration.get("operator") or ""
        value, effect = toleration.get("value") or "", toleration.get("effect") or ""
        if key:
            yield from must(f"{at}.key", key, label_key_errors(key))
        elif operator != "Exists":
            detail = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            yield invalid(f"{at}.operator", operator, detail)
        if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
            yield invalid(f"{at}.effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set")
        if operator in ("", "Equal"):
            problems = label_value_errors(value)
            if problems:
                yield invalid(f"{at}.operator", value, ";".join(problems))
        elif operator == "Exists":
            if value:
                yield invalid(f"{at}.operator", toleration, "value must be empty when `operator` is 'Exists'")
        else:
            yield unsupported(f"{at}.operator", operator, _OPERATORS)
        if effect and effect not in EFFECTS:
            yield unsupported(f"{at}.effect", effect, ("NoSchedule", "PreferNoSchedule", "NoExecute"))


def affinity(path: str, given: Object | None) -> Errors:
    if given is None:
        return
    if (of_nodes := given.get("nodeAffinity")) is not None:
        yield from _node_affinity(f"{path}.nodeAffinity", of_nodes)
    for name in ("podAffinity", "podAntiAffinity"):
        if (of_pods := given.get(name)) is not None:
            yield from _pod_affinity(f"{path}.{name}", of_pods)


def _node_affinity(path: str, given: Object) -> Errors:
    if (selector := given.get(_REQUIRED)) is not None:
        yield from node_selector(f"{path}.{_REQUIRED}", selector)
    for term, at in each(given, _PREFERRED, path):
        weight = term.get("weight", 0)
        if not 1 <= weight <= 100:
            yield invalid(f"{at}.weight", weight, "must be in the range 1-100")
        yield from _node_term(f"{at}.preference", term.get("preference") or {})


def node_selector(path: str, selector: Object) -> Errors:
    if not selector.get("nodeSelectorTerms"):
        yield required(f"{path}.nodeSelectorTerms", "must have at least one node selector term")
    for term, at in each(selector, "nodeSelectorTerms", path):
        yield from _node_term(at, term)


def _node_term(path: str, term: Object) -> Errors:
    for requirement, at in each(term, "matchExpressions", path):
        operator, values = requirement.get("operator") or "", requirement.get("values") or []
        if operator in ("In", "NotIn"):
            if not values:
                yield required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'")
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                yield forbidden(f"{at}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
        elif operator in ("Gt", "Lt"):
            if len(values) != 1:
                yield required(f"{at}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'")
        else:
            yield invalid(f"{at}.operator", operator, "not a valid selector operator")
        yield from must(f"{at}.key", requirement.get("key") or "", label_key_errors(requirement.get("key") or ""))
        for index, value in enumerate(values):
            yield from must(f"{at}.values[{index}]", value, label_value_errors(value))
    for requirement, at in each(term, "matchFields", path):
        operator, values = requirement.get("operator") or "", requirement.get("values") or []
        if operator not in ("In", "NotIn"):
            yield invalid(f"{at}.operator", operator, "not a valid selector operator")
        elif len(values) != 1:
            detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
            yield required(f"{at}.values", detail)
        if requirement.get("key") != "metadata.name":
            yield invalid(f"{at}.key", requirement.get("key") or "", "not a valid field selector key")
        else:
            for index, value in enumerate(values):
                yield from must(f"{at}.values[{index}]", value, subdomain_errors(value))


def _pod_affinity(path: str, given: Object) -> Errors:
    for term, at in each(given, _REQUIRED, path):
        yield from _pod_term(at, term)
    for weighted, at in each(given, _PREFERRED, path):
        weight = weighted.get("weight", 0)
        if not 1 <= weight <= 100:
            yield invalid(f"{at}.weight", weight, "must be in the range 1-100")
        yield from _pod_term(f"{at}.podAffinityTerm", weighted.get("podAffinityTerm") or {})


def _pod_term(path: str, term: Object) -> Errors:
    yield from label_selector(f"{path}.labelSelector", term.get("labelSelector"))
    yield from label_selector(f"{path}.namespaceSelector", term.get("namespaceSelector"))
    for name in term.get("namespaces") or ():
        yield from must(f"{path}.namespace", name, label_errors(name))
    yield from _match_label_keys(path, term, "matchLabelKeys")
    yield from _match_label_keys(path, term, "mismatchLabelKeys")
    key = term.get("topologyKey") or ""
    if not key:
        yield required(f"{path}.topologyKey", "can not be empty")
    yield from must(f"{path}.topologyKey", key, label_key_errors(key))


def _match_label_keys(path: str, holder: Object, field: str) -> Errors:
    keys: Sequence[str] = holder.get(field) or ()
    if keys and holder.get("labelSelector") is None:
        yield forbidden(f"{path}.{field}", "must not be specified when labelSelector is not set")
    for index, key in enumerate(keys):
        yield from must(f"{path}.{field}[{index}]", key, label_key_errors(key))


def spreading(path: str, spec: Object) -> Errors:
    constraints = spec.get("topologySpreadConstraints") or ()
    alike = Counter((each.get("topologyKey"), each.get("whenUnsatisfiable")) for each in constraints)
    for index, constraint in enumerate(constraints):
        at = f"{path}.topologySpreadConstraints[{index}]"
        skew, key = constraint.get("maxSkew", 0), constraint.get("topologyKey") or ""
        when = constraint.get("whenUnsatisfiable") or ""
        if skew <= 0:
            yield invalid(f"{at}.maxSkew", skew, "must be greater than zero")
        if not key:
            yield required(f"{at}.topologyKey", "can not be empty")
        if when not in ("DoNotSchedule", "ScheduleAnyway"):
            yield unsupported(f"{at}.whenUnsatisfiable", when, ("DoNotSchedule", "ScheduleAnyway"))
        alike[constraint.get("topologyKey"), constraint.get("whenUnsatisfiable")] -= 1
        if alike[key, when]:
            yield duplicate(f"{at}.{{topologyKey, whenUnsatisfiable}}", f"{{{key}, {when}}}")
        yield from _min_domains(at, constraint, when)
        for policy in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            yield from optional_one_of(f"{at}.{policy}", constraint.get(policy), ("Honor", "Ignore"))
        yield from _match_label_keys(at, constraint, "matchLabelKeys")
        yield from label_selector(f"{at}.labelSelector", constraint.get("labelSelector"))


def _min_domains(path: str, constraint: Object, when: str) -> Errors:
    domains = constraint.get("minDomains")
    if domains is None:
        return
    if domains <= 0:
        yield invalid(f"{path}.minDomains", domains, "must be greater than zero")
    if when != "DoNotSchedule":
        detail = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {when}"
        yield invalid(f"{path}.minDomains", domains, detail)


def scheduling_gates(path: str, spec: Object) -> Errors:
    seen: set[str] = set()
    for gate, at in each(spec, "schedulingGates", path):
        name = gate.get("name") or ""
        yield from must(at, name, label_key_errors(name))
        if name in seen:
            yield duplicate(at, name)
        seen.add(name)
