"""PodSecurity: a namespace's labels say which of the Pod Security Standards its pods must keep (KEP-2579)."""

from collections.abc import Mapping

from kajitori.api import core
from kajitori.api.meta import Object, labels_of, name_of
from kajitori.apiserver.admission.figures import AdmissionFigures
from kajitori.apiserver.admission.plugin import PODS, Kind, Plugin, kind_of, refusal, subject
from kajitori.apiserver.admission.pod_security_standards import BASELINE, PRIVILEGED, RESTRICTED, violations
from kajitori.apiserver.admission.pod_templates import TEMPLATES
from kajitori.apiserver.interfaces import AdmissionRequest, Objects, Operation

_LABEL = "pod-security.kubernetes.io/"
_LEVELS = (PRIVILEGED, BASELINE, RESTRICTED)
_NAMESPACES: Kind = ("", "namespaces")
_ALLOWED = {"enforce": (PRIVILEGED, "latest")}
"""What counts where a namespace says nothing."""
# Existing pods looked at when a namespace's level is raised.
_EXISTING_MAX = 3000


class PodSecurity(Plugin):
    kinds = frozenset((PODS, _NAMESPACES, *TEMPLATES))

    def __init__(self, objects: Objects, figures: AdmissionFigures | None = None) -> None:
        self._objects = objects
        self._figures = figures

    async def validate(self, request: AdmissionRequest) -> None:
        if request.operation not in (Operation.CREATE, Operation.UPDATE):
            return
        kind = kind_of(request)
        if kind == _NAMESPACES:
            self._namespace(request)
        elif kind != PODS:
            if not request.subresource:
                self._template(request, TEMPLATES[kind])
        elif request.subresource in ("", "ephemeralcontainers", "resize"):
            self._pod(request)

    def _pod(self, request: AdmissionRequest) -> None:
        pod = subject(request)
        if request.old is not None and not _matters(pod, request.old):
            return
        policy = self._policy(request.namespace)
        for mode, (level, version) in (policy or _ALLOWED).items():
            found = violations(level, pod["metadata"], pod["spec"]) if policy else ()
            if self._figures is not None and (found or mode == "enforce"):
                decision = "deny" if found else "allow"
                self._figures.judged(decision, level, version, mode, request.operation, request.subresource)
            if not found:
                continue
            text = f'PodSecurity "{level}:{version}": {", ".join(map(str, found))}'
            if mode == "enforce":
                raise refusal(request, f"violates {text}")
            self._note(request, mode, f"would violate {text}")

    def _template(self, request: AdmissionRequest, path: tuple[str, ...]) -> None:
        """A workload is not refused, because its pods will be: its author is told."""
        template: Object = subject(request)
        for step in path:
            template = template.get(step) or {}
        spec = template.get("spec")
        if not spec:
            return
        for mode, (level, version) in self._policy(request.namespace).items():
            if mode == "enforce":
                continue
            found = violations(level, template.get("metadata") or {}, spec)
            if found:
                reasons = ", ".join(map(str, found))
                self._note(request, mode, f'would violate PodSecurity "{level}:{version}": {reasons}')

    @staticmethod
    def _note(request: AdmissionRequest, mode: str, text: str) -> None:
        if mode == "warn":
            request.warnings.append(text)
        else:
            request.annotations["pod-security.kubernetes.io/audit-violations"] = text

    def _policy(self, namespace: str) -> dict[str, tuple[str, str]]:
        """Mode -> level and version, for the modes that a namespace has set to more than privileged."""
        found = self._objects.cached(core.NAMESPACE, namespace)
        return policy_of(labels_of(found)) if found is not None else {}

    def _namespace(self, request: AdmissionRequest) -> None:
        namespace = subject(request)
        enforced = policy_of(labels_of(namespace)).get("enforce")
        if request.subresource or request.old is None or enforced is None:
            return
        if policy_of(labels_of(request.old)).get("enforce") == enforced:
            return
        level, version = enforced
        pods = list(self._objects.cached_list(core.POD, name_of(namespace)))[:_EXISTING_MAX]
        warnings = []
        for pod in pods:
            found = violations(level, pod["metadata"], pod["spec"])
            if found:
                warnings.append(f"{name_of(pod)}: {', '.join(violation.reason for violation in found)}")
        if warnings:
            head = f'existing pods in namespace "{name_of(namespace)}" violate the new PodSecurity enforce level'
            request.warnings += [f'{head} "{level}:{version}"', *warnings]


def policy_of(labels: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """An unknown level counts as restricted, as upstream has it: a typing error must not open a namespace."""
    policy: dict[str, tuple[str, str]] = {}
    for mode in ("enforce", "audit", "warn"):
        level = labels.get(_LABEL + mode)
        if level is None or level == PRIVILEGED:
            continue
        chosen = level if level in _LEVELS else RESTRICTED
        policy[mode] = (chosen, labels.get(f"{_LABEL}{mode}-version") or "latest")
    return policy


def _matters(new: Object, old: Object) -> bool:
    """Whether an update touches what the standards speak of."""
    if new["spec"] != old["spec"]:
        return True
    return (new["metadata"].get("annotations") or {}) != (old["metadata"].get("annotations") or {})
