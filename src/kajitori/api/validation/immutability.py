"""What may not change after creation, and how a refusal shows it: as upstream's internal types print it."""

from typing import Any

from kajitori.api.field_errors import FieldError, invalid
from kajitori.api.meta import Object
from kajitori.api.schema.internal_shapes import as_shown, list_as_shown
from kajitori.api.validation.checks import IMMUTABLE, Errors


def without_empty(value: Any) -> Any:
    """For comparisons in which nothing, an empty list and an empty map are the same."""
    if isinstance(value, dict):
        return {key: kept for key, item in value.items() if (kept := without_empty(item)) not in (None, {}, [], "")}
    return [without_empty(item) for item in value] if isinstance(value, list) else value


def same(one: Any, other: Any) -> bool:
    return bool(one == other or without_empty(one) == without_empty(other))


def unchanged(path: str, struct: str, new: Any, old: Any) -> Errors:
    """An object or list of objects of an internal struct, such as `rbac.RoleRef`."""
    if not same(new, old):
        shown = list_as_shown(struct, new) if isinstance(new, list) else as_shown(struct, new)
        yield invalid(path, shown, IMMUTABLE)


def validate_binding_update(new: Object, old: Object) -> list[FieldError]:
    """A binding for another role is another binding: whoever may edit subjects may not choose the role."""
    if new.get("roleRef") != old.get("roleRef"):
        shown = as_shown("rbac.RoleRef", new.get("roleRef") or {})
        return [invalid("roleRef", shown, "cannot change roleRef")]
    return []


def validate_same_selector(new: Object, old: Object) -> list[FieldError]:
    return list(
        unchanged("spec.selector", "meta.LabelSelector", new["spec"].get("selector"), old["spec"].get("selector"))
    )


def validate_attachment_update(new: Object, old: Object) -> list[FieldError]:
    return list(unchanged("spec", "storage.VolumeAttachmentSpec", new.get("spec") or {}, old.get("spec") or {}))


def validate_resource_claim_update(new: Object, old: Object) -> list[FieldError]:
    return list(unchanged("spec", "resource.ResourceClaimSpec", new.get("spec") or {}, old.get("spec") or {}))


def validate_resource_claim_template_update(new: Object, old: Object) -> list[FieldError]:
    struct = "resource.ResourceClaimTemplateSpec"
    return list(unchanged("spec", struct, new.get("spec") or {}, old.get("spec") or {}))


def validate_resource_slice_update(new: Object, old: Object) -> list[FieldError]:
    return list(_slice_update(new.get("spec") or {}, old.get("spec") or {}))


def _slice_update(new: Object, old: Object) -> Errors:
    for path, after, before in (
        ("spec.pool.name", (new.get("pool") or {}).get("name") or "", (old.get("pool") or {}).get("name") or ""),
        ("spec.driver", new.get("driver") or "", old.get("driver") or ""),
        ("spec.nodeName", new.get("nodeName"), old.get("nodeName")),
    ):
        if after != before:
            yield invalid(path, after, IMMUTABLE)


def validate_csi_node_update(new: Object, old: Object) -> list[FieldError]:
    return list(_csi_node_update(new.get("spec") or {}, old.get("spec") or {}))


def _csi_node_update(new: Object, old: Object) -> Errors:
    """A driver's entry is as it was registered, but for how many volumes fit."""
    after = [{**driver, "allocatable": None} for driver in new.get("drivers") or ()]
    for before in old.get("drivers") or ():
        for driver in after:
            if driver.get("name") == before.get("name"):
                yield from unchanged("spec.drivers", "storage.CSINodeDriver", driver, {**before, "allocatable": None})


def validate_csi_driver_update(new: Object, old: Object) -> list[FieldError]:
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    return [
        invalid(path, spec.get(field), IMMUTABLE)
        for path, field in (
            ("spec.attachedRequired", "attachRequired"),
            ("spec.volumeLifecycleModes", "volumeLifecycleModes"),
        )
        if not same(spec.get(field), before.get(field))
    ]


def validate_event_update(new: Object, old: Object) -> list[FieldError]:
    """Through events.k8s.io: only the series of an event goes on. Paths and values are those of the internal type."""
    return list(_event_update(new, old))


def _event_update(new: Object, old: Object) -> Errors:
    yield from unchanged(
        "involvedObject", "core.ObjectReference", new.get("regarding") or {}, old.get("regarding") or {}
    )
    plain = {"reason": "reason", "message": "note"}
    for path, field in plain.items():
        yield from _same_text(path, new.get(field), old.get(field))
    source = "deprecatedSource"
    yield from unchanged("source", "core.EventSource", new.get(source) or {}, old.get(source) or {})
    for path, field, absent in (
        ("firstTimestamp", "deprecatedFirstTimestamp", None),
        ("lastTimestamp", "deprecatedLastTimestamp", None),
        ("count", "deprecatedCount", 0),
        ("reason", "reason", ""),
        ("type", "type", ""),
        ("eventTime", "eventTime", None),
        ("action", "action", ""),
    ):
        after, before = new.get(field) or absent, old.get(field) or absent
        if after != before:
            yield invalid(path, after, IMMUTABLE)
    yield from unchanged("related", "core.ObjectReference", new.get("related"), old.get("related"))
    for field in ("reportingController", "reportingInstance"):
        yield from _same_text(field, new.get(field), old.get(field))


def _same_text(path: str, new: Any, old: Any) -> Errors:
    if (new or "") != (old or ""):
        yield invalid(path, new or "", IMMUTABLE)
