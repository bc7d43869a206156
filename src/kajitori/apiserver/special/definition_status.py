"""The status of a CustomResourceDefinition: which of its names are its own, and whether it is established. Pure.

Source: the naming, establishing and API approval controllers of apiextensions-apiserver (v1.36): a name that another
definition of the group has is not accepted; the definition keeps the one it had before, and goes on being served.
"""

from collections.abc import Iterable

from kajitori.api.meta import Object, set_condition
from kajitori.api.validation.custom_resources import approval

_NAMES = (
    ("plural", "PluralConflict"),
    ("singular", "SingularConflict"),
    ("shortNames", "ShortNamesConflict"),
    ("kind", "KindConflict"),
    ("listKind", "ListKindConflict"),
)
_RESOURCES = ("plural", "singular", "shortNames")
_MANY = ("shortNames", "categories")
_NOT_ACCEPTED = {"status": "False", "reason": "NotAccepted", "message": "not all names are accepted"}
_ESTABLISHED = {
    "status": "True",
    "reason": "InitialNamesAccepted",
    "message": "the initial names have been accepted",
}


def status_of(definition: Object, all_definitions: Iterable[Object], now: str) -> Object:
    """What the status should be. `all_definitions` may hold this one as it is stored."""
    before = definition.get("status") or {}
    conditions = [dict(condition) for condition in before.get("conditions") or ()]
    accepted, names = _accept(definition, all_definitions)
    set_condition(conditions, {"type": "NamesAccepted", **names}, now)
    if not any(c["type"] == "Established" and c["status"] == "True" for c in conditions):
        stands = _ESTABLISHED if names["status"] == "True" else _NOT_ACCEPTED
        set_condition(conditions, {"type": "Established", **stands}, now)
    if (found := approval(definition)) is not None:
        status, reason, message = found
        conformant = {"status": status, "reason": reason, "message": message}
        set_condition(conditions, {"type": "KubernetesAPIApprovalPolicyConformant", **conformant}, now)
    stored = list(before.get("storedVersions") or ())
    stored += [v["name"] for v in definition["spec"]["versions"] if v.get("storage") and v["name"] not in stored]
    return {**before, "conditions": conditions, "acceptedNames": accepted, "storedVersions": stored}


def _accept(definition: Object, all_definitions: Iterable[Object]) -> tuple[Object, Object]:
    """The accepted names, and status, reason and message of NamesAccepted."""
    group, asked = definition["spec"]["group"], definition["spec"]["names"]
    had: Object = (definition.get("status") or {}).get("acceptedNames") or {}
    taken_resources, taken_kinds = _taken(group, all_definitions)
    accepted, problem = {**had}, None
    for field, reason in _NAMES:
        taken = taken_resources if field in _RESOURCES else taken_kinds
        wanted, own = _values(asked, field), set(_values(had, field))
        clashes = [name for name in wanted if name not in own and name in taken]
        if clashes:
            texts = [f'"{name}" is already in use' for name in clashes]
            message = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
            problem = {"status": "False", "reason": reason, "message": message}
        else:
            _put(accepted, asked, field)
    _put(accepted, asked, "categories")
    accepted = {"plural": "", "kind": ""} | accepted
    return accepted, problem or {"status": "True", "reason": "NoConflicts", "message": "no conflicts found"}


def _taken(group: str, definitions: Iterable[Object]) -> tuple[set[str], set[str]]:
    """Names of resources and of kinds that definitions of the group have accepted."""
    resources: set[str] = set()
    kinds: set[str] = set()
    for definition in definitions:
        if definition["spec"]["group"] == group:
            names = (definition.get("status") or {}).get("acceptedNames") or {}
            for field in _RESOURCES:
                resources.update(_values(names, field))
            kinds.update(_values(names, "kind"), _values(names, "listKind"))
    return resources, kinds


def _values(names: Object, field: str) -> list[str]:
    found = names.get(field) or ()
    return [*found] if field in _MANY else [found] if isinstance(found, str) else []


def _put(accepted: Object, asked: Object, field: str) -> None:
    if asked.get(field):
        accepted[field] = asked[field]
    else:
        accepted.pop(field, None)
