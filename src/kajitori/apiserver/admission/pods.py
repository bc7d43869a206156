"""Small plugins around pods: their priority, their tolerations, their runtime class."""

from kajitori.api import node, scheduling
from kajitori.api.meta import Object, name_of
from kajitori.apiserver.admission.plugin import PODS, Kind, Plugin, kind_of, refusal, subject
from kajitori.apiserver.interfaces import AdmissionRequest, Objects, Operation

_PRIORITY_CLASSES: Kind = ("scheduling.k8s.io", "priorityclasses")
_PREEMPTS = "PreemptLowerPriority"
_WRITES = (Operation.CREATE, Operation.UPDATE)


class Priority(Plugin):
    """Resolves a pod's priority class, and keeps one global default at most."""

    kinds = frozenset((PODS, _PRIORITY_CLASSES))

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def mutate(self, request: AdmissionRequest) -> None:
        if kind_of(request) != PODS or request.subresource:
            return
        if request.operation is Operation.CREATE:
            self._resolve(request, subject(request)["spec"])
        elif request.operation is Operation.UPDATE and request.old is not None:
            spec, before = subject(request)["spec"], request.old["spec"]
            for field in ("priority", "preemptionPolicy"):
                if spec.get(field) is None and before.get(field) is not None:
                    spec[field] = before[field]

    async def validate(self, request: AdmissionRequest) -> None:
        if kind_of(request) != _PRIORITY_CLASSES or request.operation is Operation.DELETE:
            return
        priority_class = subject(request)
        default = self._default()
        if priority_class.get("globalDefault") and default and name_of(default) != name_of(priority_class):
            why = f"PriorityClass {name_of(default)} is already marked as default. Only one default can exist"
            raise refusal(request, why)

    def _resolve(self, request: AdmissionRequest, spec: Object) -> None:
        name = spec.get("priorityClassName") or ""
        if name:
            found = self._objects.cached(scheduling.PRIORITY_CLASS, name)
            if found is None:
                raise refusal(request, f"no PriorityClass with name {name} was found")
        else:
            found = self._default()
            if found is not None:
                spec["priorityClassName"] = name_of(found)
        value = found["value"] if found else 0
        policy = (found.get("preemptionPolicy") if found else None) or _PREEMPTS
        given, given_policy = spec.get("priority"), spec.get("preemptionPolicy")
        if given is not None and given != value:
            raise refusal(
                request,
                f"the integer value of priority ({given}) must not be provided in pod spec; "
                f"priority admission controller computed {value} from the given PriorityClass name",
            )
        if given_policy is not None and given_policy != policy:
            raise refusal(
                request,
                f"the string value of PreemptionPolicy ({given_policy}) must not be provided in pod spec; "
                f"priority admission controller computed {policy} from the given PriorityClass name",
            )
        spec["priority"], spec["preemptionPolicy"] = value, policy

    def _default(self) -> Object | None:
        classes = [c for c in self._objects.cached_list(scheduling.PRIORITY_CLASS) if c.get("globalDefault")]
        return min(classes, key=lambda c: c["value"], default=None)


class DefaultTolerationSeconds(Plugin):
    """A pod stays five minutes on a node that is lost, unless it says otherwise; who replaces the list keeps these."""

    kinds = frozenset((PODS,))
    _TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
    _SECONDS = 300

    async def mutate(self, request: AdmissionRequest) -> None:
        if request.operation not in _WRITES or request.subresource:
            return
        spec = subject(request)["spec"]
        present = spec.get("tolerations") or []
        for taint in self._TAINTS:
            if not any(
                t.get("key") in (taint, "", None) and t.get("effect") in ("NoExecute", "", None) for t in present
            ):
                added = {"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": self._SECONDS}
                spec["tolerations"] = [*(spec.get("tolerations") or ()), added]


class RuntimeClass(Plugin):
    """A pod's runtime class exists, and its overhead and scheduling become the pod's."""

    kinds = frozenset((PODS,))

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def mutate(self, request: AdmissionRequest) -> None:
        if request.operation is not Operation.CREATE or request.subresource:
            return
        spec = subject(request)["spec"]
        name = spec.get("runtimeClassName")
        if not name:
            if spec.get("overhead"):
                raise refusal(
                    request, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
                )
            return
        found = self._objects.cached(node.RUNTIME_CLASS, name)
        if found is None:
            raise refusal(request, f'pod rejected: RuntimeClass "{name}" not found')
        self._set_overhead(request, spec, (found.get("overhead") or {}).get("podFixed"))
        _merge_scheduling(request, spec, found.get("scheduling") or {})

    @staticmethod
    def _set_overhead(request: AdmissionRequest, spec: Object, overhead: Object | None) -> None:
        if spec.get("overhead") and spec["overhead"] != overhead:
            what = (
                "Pod's Overhead doesn't match RuntimeClass's defined Overhead"
                if overhead
                else "Pod Overhead set without corresponding RuntimeClass defined Overhead"
            )
            raise refusal(request, f"pod rejected: {what}")
        if overhead:
            spec["overhead"] = dict(overhead)


def _merge_scheduling(request: AdmissionRequest, spec: Object, scheduling_of_class: Object) -> None:
    selector = scheduling_of_class.get("nodeSelector") or {}
    own = spec.get("nodeSelector") or {}
    for key, value in selector.items():
        if own.get(key, value) != value:
            why = "conflict: runtimeClass.scheduling.nodeSelector"
            raise refusal(request, f"{why}[{key}] = {value}; pod.spec.nodeSelector[{key}] = {own[key]}")
    if selector:
        spec["nodeSelector"] = {**own, **selector}
    tolerations = spec.get("tolerations") or []
    missing = [t for t in scheduling_of_class.get("tolerations") or () if t not in tolerations]
    if missing:
        spec["tolerations"] = [*tolerations, *missing]
