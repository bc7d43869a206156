"""A Job's pods: how they are made, and what each one says about its index, its end and its failures. Pure."""

from collections.abc import Iterable

from kajitori.api.meta import Object, annotations_of, condition_of, is_deleting, name_of
from kajitori.api.pods import is_terminal, phase
from kajitori.api.times import parse_timestamp
from kajitori.controllers.pods import pod_from_template
from kajitori.kit.numbers import unsigned

FINALIZER = "batch.kubernetes.io/job-tracking"
INDEX_ANNOTATION = "batch.kubernetes.io/job-completion-index"
INDEX_FAILURES_ANNOTATION = "batch.kubernetes.io/job-index-failure-count"
INDEX_VARIABLE = "JOB_COMPLETION_INDEX"
_HOSTNAME_LENGTH_MAX = 63


def is_indexed(job: Object) -> bool:
    return bool(job["spec"].get("completionMode") == "Indexed")


def make_pod(job: Object, index: int | None, index_failures: int = 0) -> Object:
    pod = pod_from_template(job["spec"]["template"], job)
    meta, spec = pod["metadata"], pod["spec"]
    meta["finalizers"] = [*meta.get("finalizers", ()), FINALIZER]
    if index is None:
        return pod
    meta["annotations"][INDEX_ANNOTATION] = meta["labels"][INDEX_ANNOTATION] = str(index)
    if job["spec"].get("backoffLimitPerIndex") is not None:
        meta["annotations"][INDEX_FAILURES_ANNOTATION] = str(index_failures)
    meta["generateName"] = f"{name_of(job)}-{index}-"
    spec["hostname"] = f"{name_of(job)}-{index}"[-_HOSTNAME_LENGTH_MAX:]
    source = {"fieldRef": {"fieldPath": f"metadata.annotations['{INDEX_ANNOTATION}']"}}
    for container in [*(spec.get("initContainers") or ()), *spec["containers"]]:
        if all(variable["name"] != INDEX_VARIABLE for variable in container.get("env") or ()):
            container["env"] = [*(container.get("env") or ()), {"name": INDEX_VARIABLE, "valueFrom": source}]
    return pod


def index_of(pod: Object) -> int | None:
    text = annotations_of(pod).get(INDEX_ANNOTATION, "")
    return unsigned(text)


def index_failures_of(pod: Object) -> int:
    text = annotations_of(pod).get(INDEX_FAILURES_ANNOTATION, "0")
    return unsigned(text) or 0


def is_tracked(pod: Object) -> bool:
    return FINALIZER in (pod["metadata"].get("finalizers") or ())


def replaces_failed_only(job: Object) -> bool:
    """Whether a pod that is on its way out is waited for before it is counted and replaced (KEP-3939)."""
    return job["spec"].get("podReplacementPolicy") == "Failed" or bool(job["spec"].get("podFailurePolicy"))


def has_failed(job: Object, pod: Object) -> bool:
    if phase(pod) == "Failed":
        return True
    return is_deleting(pod) and phase(pod) != "Succeeded" and not replaces_failed_only(job)


def is_active(pod: Object) -> bool:
    return not is_terminal(pod) and not is_deleting(pod)


def finished_at_s(pod: Object) -> float:
    """When its last container ended; the best known moment otherwise."""
    ends = [
        terminated["finishedAt"]
        for status in (pod.get("status") or {}).get("containerStatuses") or ()
        if (terminated := (status.get("state") or {}).get("terminated")) and terminated.get("finishedAt")
    ]
    if ends:
        return max(parse_timestamp(end) for end in ends)
    since = pod["metadata"].get("deletionTimestamp") or (condition_of(pod, "Ready") or {}).get("lastTransitionTime")
    return parse_timestamp(since or pod["metadata"]["creationTimestamp"])


def restarts(pods: Iterable[Object]) -> int:
    total = 0
    for pod in pods:
        status = pod.get("status") or {}
        for container in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
            total += container.get("restartCount", 0)
    return total
