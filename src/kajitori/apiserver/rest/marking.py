"""What a deletion makes of an object before it goes: a time to go at, finalizers to be taken away, or nothing."""

from typing import NamedTuple

from kajitori.api.meta import Object
from kajitori.api.resource import Resource
from kajitori.api.times import parse_timestamp, timestamp
from kajitori.apiserver.rest.deletion_options import DeleteOptions

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
_POD = ("", "pods")
_NAMESPACE = ("", "namespaces")
_ORPHANS_BY_DEFAULT = {("", "replicationcontrollers"), ("batch", "jobs")}
"""Kinds older than garbage collection: whoever names no policy keeps the dependents (kubectl names one)."""
_WITHOUT_DEPENDENTS = {("", "events"), ("events.k8s.io", "events")}
_POD_GRACE_S = 30


class Marked(NamedTuple):
    """The object as it is while it is being deleted, or as it was when it went."""

    obj: Object
    stays: bool


def mark(resource: Resource, obj: Object, options: DeleteOptions, now_s: float) -> Marked:
    metadata = {**obj["metadata"]}
    marked = {**obj, "metadata": metadata}
    kind = (resource.group, resource.plural)
    if kind == _NAMESPACE and (not metadata.get("deletionTimestamp") or (obj.get("spec") or {}).get("finalizers")):
        return Marked(_ending_namespace(marked, options, now_s), True)
    if resource.begin_deletion is not None and not metadata.get("deletionTimestamp"):
        metadata["deletionTimestamp"] = now = timestamp(now_s)
        resource.begin_deletion(marked, now)
        return Marked(marked, True)
    grace_s = None
    if kind == _POD:
        pending = metadata.get("deletionGracePeriodSeconds")
        if metadata.get("deletionTimestamp") and pending:
            if options.grace_period_s is None or max(_asked_s(options.grace_period_s), 0) >= pending:
                return Marked(obj, True)  # once it has begun, it can be hurried only
            grace_s = _hurry(metadata, _asked_s(options.grace_period_s), now_s)
        elif not metadata.get("deletionTimestamp"):
            grace_s = _grace_s(obj, options)
            metadata["deletionTimestamp"] = timestamp(now_s + grace_s)
            metadata["deletionGracePeriodSeconds"] = grace_s
            _count(metadata)
    finalizers = _finalizers(resource, metadata, options)
    if finalizers:
        metadata["finalizers"] = finalizers
        if grace_s is None:
            _hold(metadata, now_s)
        return Marked(marked, True)
    if grace_s is None:
        return Marked(obj, False)
    metadata.pop("finalizers", None)
    return Marked(marked, grace_s > 0)


def _asked_s(period_s: int) -> int:
    return 1 if period_s < 0 else period_s


def _hold(metadata: Object, now_s: float) -> None:
    """Until its last finalizer has gone."""
    if not metadata.get("deletionTimestamp"):
        _count(metadata)
    if not metadata.get("deletionTimestamp") or parse_timestamp(metadata["deletionTimestamp"]) > now_s:
        metadata["deletionTimestamp"] = timestamp(now_s)
    metadata["deletionGracePeriodSeconds"] = 0


def _count(metadata: Object) -> None:
    if metadata.get("generation"):
        metadata["generation"] += 1


def _hurry(metadata: Object, grace_s: int, now_s: float) -> int:
    """A shorter period counts from when the deletion was asked for first, but does not end in the past."""
    ends_s = parse_timestamp(metadata["deletionTimestamp"]) - metadata["deletionGracePeriodSeconds"] + grace_s
    if ends_s < now_s:
        ends_s, grace_s = now_s, min(grace_s, 1)
    metadata["deletionTimestamp"] = timestamp(ends_s)
    metadata["deletionGracePeriodSeconds"] = grace_s
    return grace_s


def _grace_s(pod: Object, options: DeleteOptions) -> int:
    """Only pods have a grace period: their own, unless the request names one; none where nothing runs."""
    spec, phase = pod.get("spec") or {}, (pod.get("status") or {}).get("phase")
    if not spec.get("nodeName") or phase in ("Failed", "Succeeded"):
        return 0
    period = options.grace_period_s
    return _asked_s(spec.get("terminationGracePeriodSeconds", _POD_GRACE_S) if period is None else period)


def _ending_namespace(namespace: Object, options: DeleteOptions, now_s: float) -> Object:
    """It goes when its own finalizers, those of its spec, have gone; and never at the first request."""
    metadata = namespace["metadata"]
    if metadata.get("deletionTimestamp"):
        return namespace
    metadata["deletionTimestamp"] = timestamp(now_s)
    namespace["status"] = {**(namespace.get("status") or {}), "phase": "Terminating"}
    held = list(metadata.get("finalizers") or ())
    wanted = {ORPHAN: ORPHAN in held, FOREGROUND: FOREGROUND in held}
    if options.orphan_asked is not None:
        wanted = {ORPHAN: options.orphan_asked, FOREGROUND: not options.orphan_asked}
    elif options.policy:
        wanted = {ORPHAN: options.policy == "Orphan", FOREGROUND: options.policy == "Foreground"}
    kept = [name for name in held if wanted.get(name, True)]
    if kept := kept + [name for name, is_wanted in wanted.items() if is_wanted and name not in held]:
        metadata["finalizers"] = kept
    else:
        metadata.pop("finalizers", None)
    return namespace


def _finalizers(resource: Resource, metadata: Object, options: DeleteOptions) -> list[str]:
    """Orphan and foreground deletion are finalizers that the garbage collector takes away."""
    held = list(metadata.get("finalizers") or ())
    rest = [finalizer for finalizer in held if finalizer not in (ORPHAN, FOREGROUND)]
    kind, policy = (resource.group, resource.plural), options.policy
    if kind in _WITHOUT_DEPENDENTS:
        return rest
    if not policy:
        if FOREGROUND in held or ORPHAN in held or kind not in _ORPHANS_BY_DEFAULT:
            return held
        policy = "Orphan"
    added = {"Orphan": [ORPHAN], "Foreground": [FOREGROUND]}.get(policy, [])
    if added and added[0] in held:
        return held
    return rest + added
