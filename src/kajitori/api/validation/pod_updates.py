"""What of a pod that exists may still change, by each of its endpoints."""

from copy import deepcopy
from typing import Any

from kajitori.api.field_errors import FieldError, forbidden, invalid, required
from kajitori.api.meta import Object
from kajitori.api.pods import MIRROR, qos_class
from kajitori.api.schema.internal_shapes import as_shown, difference, list_as_shown
from kajitori.api.validation.checks import Errors
from kajitori.api.validation.immutability import same
from kajitori.api.validation.placement import tolerations

_MUTABLE = (
    "`spec.containers[*].image`",
    "`spec.initContainers[*].image`",
    "`spec.activeDeadlineSeconds`",
    "`spec.tolerations` (only additions to existing tolerations)",
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
)
_INT32_MAX = 2**31 - 1
_APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"


def validate_pod_update(new: Object, old: Object) -> list[FieldError]:
    """An ordinary update of a pod: almost nothing of a pod can change after its creation."""
    errors = list(_annotations(new, old))
    if new["spec"] != old["spec"]:
        errors += _pod_update(new["spec"], old["spec"])
    return errors


def _annotations(new: Object, old: Object) -> Errors:
    """Annotations that were read when the pod was made."""
    after, before = (pod["metadata"].get("annotations") or {} for pod in (new, old))
    if after == before:
        return
    for key in sorted({*after, *before}):
        if after.get(key) == before.get(key):
            continue
        done = "remove or update" if key in before else "add"
        if key.startswith(_APP_ARMOR):
            yield forbidden(f"metadata.annotations[{key}]", f"may not {done} AppArmor annotations")
        if key == MIRROR:
            yield forbidden(f"metadata.annotations[{key}]", f"may not {done} mirror pod annotation")


def _pod_update(new: Object, old: Object) -> Errors:
    for field in ("containers", "initContainers"):
        after, before = new.get(field) or [], old.get(field) or []
        if len(after) != len(before):
            yield forbidden(f"spec.{field}", "pod updates may not add or remove containers")
            return
        for index, container in enumerate(after):
            image = container.get("image") or ""
            if not image:
                yield required(f"spec.{field}[{index}].image")
            if image.strip() != image:
                detail = "must not have leading or trailing whitespace"
                yield invalid(f"spec.{field}[{index}].image", image, detail)
    deadline = list(_deadline_update(new.get("activeDeadlineSeconds"), old.get("activeDeadlineSeconds")))
    yield from deadline
    if deadline and new.get("activeDeadlineSeconds") is not None:
        return
    yield from _tolerations_update(new, old)
    yield from _gates_update(new, old)
    merged = _with_mutable_fields(new, old)
    if old.get("schedulingGates"):
        yield from _gated_update(merged, old)
    if not same(merged, old):
        detail = f"pod updates may not change fields other than {','.join(_MUTABLE)}\n"
        yield forbidden("spec", detail + difference("core.PodSpec", old, merged))


def _with_mutable_fields(new: Object, old: Object) -> Object:
    """The new spec with what may change taken from the old one."""
    merged = deepcopy(new)
    for field in ("containers", "initContainers"):
        for container, before in zip(merged.get(field) or (), old.get(field) or (), strict=True):
            container["image"] = before.get("image")
    taken = ["activeDeadlineSeconds", "tolerations", "schedulingGates"]
    if (old.get("terminationGracePeriodSeconds") or 0) < 0 and new.get("terminationGracePeriodSeconds") == 1:
        taken.append("terminationGracePeriodSeconds")
    for field in taken:
        _take(merged, field, old.get(field))
    return merged


def _take(spec: Object, field: str, value: Any) -> None:
    if value is None:
        spec.pop(field, None)
    else:
        spec[field] = value


def _gated_update(merged: Object, old: Object) -> Errors:
    """A gated pod may be restricted further to nodes. What was judged is set back in `merged`."""
    after, before = merged.get("nodeSelector") or {}, old.get("nodeSelector") or {}
    if any(after.get(key) != value for key, value in before.items()):
        detail = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        yield invalid("spec.nodeSelector", after or None, detail)
    _take(merged, "nodeSelector", old.get("nodeSelector"))
    wanted, was = merged.get("affinity") or {}, old.get("affinity") or {}
    if same(wanted.get("nodeAffinity"), was.get("nodeAffinity")):
        return
    yield from _narrowed(wanted.get("nodeAffinity") or {}, was.get("nodeAffinity") or {})
    if merged.get("affinity") is not None and old.get("affinity") is None and set(wanted) <= {"nodeAffinity"}:
        del merged["affinity"]
        return
    kept = dict(wanted)
    _take(kept, "nodeAffinity", was.get("nodeAffinity"))
    merged["affinity"] = kept


def _narrowed(new: Object, old: Object) -> Errors:
    required_terms = "requiredDuringSchedulingIgnoredDuringExecution"
    path = f"spec.affinity.nodeAffinity.{required_terms}.nodeSelectorTerms"
    before = (old.get(required_terms) or {}).get("nodeSelectorTerms") or []
    terms = (new.get(required_terms) or {}).get("nodeSelectorTerms")
    if before and len(before) != len(terms or ()):
        detail = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        yield invalid(path, list_as_shown("core.NodeSelectorTerm", terms), detail)
        return
    for index, (term, was) in enumerate(zip(terms or (), before, strict=False)):
        if not _only_added(term, was):
            shown = as_shown("core.NodeSelectorTerm", term)
            yield invalid(f"{path}[{index}]", shown, "only additions are allowed (no mutations or deletions)")


def _only_added(term: Object, was: Object) -> bool:
    kinds = ("matchExpressions", "matchFields")
    if not any(was.get(kind) for kind in kinds):
        return not any(term.get(kind) for kind in kinds)
    return all((term.get(kind) or [])[: len(was.get(kind) or ())] == (was.get(kind) or []) for kind in kinds)


def _deadline_update(new: int | None, old: int | None) -> Errors:
    path = "spec.activeDeadlineSeconds"
    if new is None:
        if old is not None:
            yield invalid(path, None, "must not update from a positive integer to nil value")
    elif not 0 <= new <= _INT32_MAX:
        yield invalid(path, new, f"must be between 0 and {_INT32_MAX}, inclusive")
    elif old is not None and old < new:
        yield invalid(path, new, "must be less than or equal to previous value")


def _tolerations_update(new: Object, old: Object) -> Errors:
    after = new.get("tolerations") or []

    def kept(toleration: Object) -> bool:
        def alike(candidate: Object) -> bool:
            return {**candidate, "tolerationSeconds": None} == {**toleration, "tolerationSeconds": None}

        return any(alike(candidate) for candidate in after)

    if all(kept(toleration) for toleration in old.get("tolerations") or ()):
        yield from tolerations("spec", new)
    else:
        yield forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")


def _gates_update(new: Object, old: Object) -> Errors:
    before = {gate.get("name") for gate in old.get("schedulingGates") or ()}
    places = {gate.get("name") or "": index for index, gate in enumerate(new.get("schedulingGates") or ())}
    for name, index in places.items():
        if name not in before:
            detail = f"only deletion is allowed, but found new scheduling gate '{name}'"
            yield forbidden(f"spec.schedulingGates[{index}].name", detail)


def validate_ephemeral_update(new: Object, old: Object) -> list[FieldError]:
    """The `ephemeralcontainers` subresource: containers can be added, none changed or taken away."""
    if MIRROR in (old["metadata"].get("annotations") or {}):
        return [forbidden("", "static pods do not support ephemeral containers")]
    after = {c.get("name"): c for c in new["spec"].get("ephemeralContainers") or ()}
    errors = list(_annotations(new, old))
    for container in old["spec"].get("ephemeralContainers") or ():
        name = container.get("name")
        if name not in after:
            detail = f'existing ephemeral containers "{name}" may not be removed\n'
            errors.append(forbidden("spec.ephemeralContainers", detail))
        elif not same(after[name], container):
            changed = difference("core.EphemeralContainer", container, after[name])
            detail = f'existing ephemeral containers "{name}" may not be changed\n{changed}'
            errors.append(forbidden("spec.ephemeralContainers", detail))
    return errors


def validate_resize_update(new: Object, old: Object) -> list[FieldError]:
    """The `resize` subresource: CPU and memory of containers, and nothing that changes the QoS class (KEP-1287)."""
    if MIRROR in (old["metadata"].get("annotations") or {}):
        return [forbidden("", "static pods cannot be resized")]
    if ((old["spec"].get("os") or {}).get("name")) == "windows":
        return [forbidden("", "windows pods cannot be resized")]
    return list(_resize(new, old))


def _resize(new: Object, old: Object) -> Errors:
    status = old.get("status") or {}
    if qos_class(new) != (status.get("qosClass") or qos_class(old)):
        shown = (new.get("status") or {}).get("qosClass") or ""
        yield invalid("spec", shown, "Pod QOS Class may not change as a result of resizing")
    running = (c for c in status.get("containerStatuses") or () if (c.get("state") or {}).get("running") is not None)
    if (first := next(running, None)) is not None and first.get("resources") is None:
        yield forbidden("spec", "Pod running on node without support for resize")
    spec, before = deepcopy(new["spec"]), old["spec"]
    wrong = list(_pod_level_resize(spec, before))
    if status.get("nodeAllocatableResourceClaimStatuses"):
        wrong.append(forbidden("spec", "pods with node allocatable resource claims cannot be resized"))
    yield from wrong
    moved = list(_moved(spec, before))
    if moved:
        yield from moved
        return
    changes = [*_container_resizes(spec, before)]
    yield from changes
    if not changes and not wrong and not same(spec, before):
        yield forbidden("spec", "only cpu and memory resources are mutable")


def _pod_level_resize(spec: Object, before: Object) -> Errors:
    after, was = spec.get("resources"), before.get("resources")
    if not any((each or {}).get(kind) for each in (after, was) for kind in ("requests", "limits")):
        return
    if was is not None and after is None:
        yield forbidden("spec.resources", "pod-level resources cannot be removed")
        return
    for kind in ("requests", "limits"):
        if _removed(after or {}, was or {}, kind):
            yield forbidden(f"spec.resources.{kind}", f"pod-level resource {kind} cannot be removed")
    spec["resources"] = _without_resize(after, was)
    if not same(spec["resources"], was):
        yield forbidden("spec", "only cpu and memory resources are mutable at pod-level")


def _moved(spec: Object, before: Object) -> Errors:
    for field in ("containers", "initContainers"):
        after, was = spec.get(field) or [], before.get(field) or []
        if len(after) != len(was):
            yield forbidden(f"spec.{field}", f"{field} may not be added or removed on resize")
            continue
        for index, (container, old) in enumerate(zip(after, was, strict=True)):
            if container.get("name") != old.get("name"):
                detail = f"{field} may not be renamed or reordered on resize"
                yield forbidden(f"spec.{field}[{index}].name", detail)


def _container_resizes(spec: Object, before: Object) -> Errors:
    """Takes what may be resized from the old containers, so that what still differs may not change."""
    for field in ("initContainers", "containers"):
        for index, (container, old) in enumerate(zip(spec.get(field) or (), before.get(field) or (), strict=True)):
            for kind in ("requests", "limits"):
                if _removed(container.get("resources") or {}, old.get("resources") or {}, kind):
                    yield forbidden(f"spec.{field}[{index}].resources.{kind}", f"resource {kind} cannot be removed")
    for container, old in zip(spec.get("containers") or (), before.get("containers") or (), strict=True):
        container["resources"] = _without_resize(container.get("resources"), old.get("resources"))
        if not same(container, old):
            yield forbidden("spec", "only cpu and memory resources are mutable")
    for index, (container, old) in enumerate(
        zip(spec.get("initContainers") or (), before.get("initContainers") or (), strict=True)
    ):
        path, resized = f"spec.initContainers[{index}]", not same(container, old)
        container["resources"] = _without_resize(container.get("resources"), old.get("resources"))
        if not same(container, old):
            yield forbidden(path, "only cpu and memory resources for init or sidecar containers are mutable")
        if resized and container.get("restartPolicy") != "Always":
            detail = "non-sidecar init containers with a resize policy of RestartContainer cannot be resized"
            for policy in container.get("resizePolicy") or ():
                if policy.get("restartPolicy") == "RestartContainer":
                    yield forbidden(path, detail)


def _removed(after: Object, was: Object, kind: str) -> bool:
    return any(name not in (after.get(kind) or {}) for name in was.get(kind) or ())


def _without_resize(after: Object | None, was: Object | None) -> Object:
    kept: Object = {}
    for kind in ("limits", "requests"):
        old = (was or {}).get(kind) or {}
        resized = {name: old[name] for name in ("cpu", "memory") if name in old}
        others = {k: v for k, v in ((after or {}).get(kind) or {}).items() if k not in ("cpu", "memory")}
        kept[kind] = others | resized
    return kept
