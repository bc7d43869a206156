"""The status of an object belongs to its controller: how it begins, and that an ordinary update cannot change it."""

from collections.abc import Callable
from copy import deepcopy

from kajitori.api.meta import Object


def begin_with(status: Object) -> Callable[[Object], None]:
    """A `prepare_create` that replaces what the client sent by the status of something new."""

    def prepare(obj: Object) -> None:
        obj["status"] = deepcopy(status)

    return prepare


def keep_status(new: Object, old: Object) -> None:
    """A `prepare_update` of the main endpoint."""
    if "status" in old:
        new["status"] = old["status"]
    else:
        new.pop("status", None)


def keep_request(new: Object, old: Object) -> None:
    """A `prepare_update` of a kind whose spec is said once: a CertificateSigningRequest."""
    new["spec"] = old["spec"]
    keep_status(new, old)


def keep_decisions(new: Object, old: Object, now: str) -> None:
    """Of a CertificateSigningRequest's status: whoever writes it changes no decision, and dates what is new. (To add or
    to remove one is refused later.)"""
    conditions, before = _conditions(new), _conditions(old)
    for type in ("Approved", "Denied"):
        known = [condition for condition in before if condition.get("type") == type]
        places = [index for index, condition in enumerate(conditions) if condition.get("type") == type]
        if len(known) == len(places):
            for index, condition in zip(places, known, strict=True):
                conditions[index] = condition
    date_conditions(new, old, now)


def date_conditions(new: Object, old: Object, now: str) -> None:
    """When each condition was said, and since when it is as it is."""
    for condition in _conditions(new):
        since = (
            known.get("lastTransitionTime")
            for known in _conditions(old)
            if all(known.get(key) == condition.get(key) for key in ("type", "status"))
        )
        condition["lastUpdateTime"] = condition.get("lastUpdateTime") or now
        condition["lastTransitionTime"] = condition.get("lastTransitionTime") or next(filter(None, since), now)


def _conditions(request: Object) -> list[Object]:
    return (request.get("status") or {}).get("conditions") or []


def keep_quality_of_service(new: Object, old: Object, now: str) -> None:
    """Of a pod's status: its class is said once, and what its writer saw of the generation is not taken back."""
    status, before = new.setdefault("status", {}), old.get("status") or {}
    for field in ("qosClass", "observedGeneration"):
        if not status.get(field) and before.get(field):
            status[field] = before[field]
    seen: dict[str, list[int]] = {}
    for condition in before.get("conditions") or ():
        seen.setdefault(condition.get("type") or "", []).append(condition.get("observedGeneration") or 0)
    for condition in status.get("conditions") or ():
        known = seen.get(condition.get("type") or "")
        generation = known.pop(0) if known else 0
        if generation and not condition.get("observedGeneration"):
            condition["observedGeneration"] = generation


def stamp_phase(new: Object, old: Object, now: str) -> None:
    """Of a persistent volume's status: when its phase changed."""
    status, before = new.setdefault("status", {}), old.get("status") or {}
    given, known = status.get("lastPhaseTransitionTime"), before.get("lastPhaseTransitionTime")
    if (status.get("phase") or "") == (before.get("phase") or ""):
        if not given and known:
            status["lastPhaseTransitionTime"] = known
    elif not given or given == known:
        status["lastPhaseTransitionTime"] = now
