"""PodSecurity: a namespace's labels say which of the Pod Security Standards its pods must keep (KEP-2579)."""

import re
from collections.abc import Mapping

from kajitori.api import core
from kajitori.api.errors import Invalid
from kajitori.api.field_errors import FieldError, invalid
from kajitori.api.meta import Object, labels_of, name_of
from kajitori.apiserver.admission.figures import AdmissionFigures
from kajitori.apiserver.admission.plugin import PODS, Kind, Plugin, kind_of, refusal, subject
from kajitori.apiserver.admission.pod_security_standards import BASELINE, LATEST, PRIVILEGED, RESTRICTED, violations
from kajitori.apiserver.admission.pod_templates import TEMPLATES
from kajitori.apiserver.interfaces import AdmissionRequest, Objects, Operation

_LABEL = "pod-security.kubernetes.io/"
_LEVELS = (PRIVILEGED, BASELINE, RESTRICTED)
_VERSION = re.compile(r"v1\.([1-9][0-9]{0,8}|0)")
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
        request.annotations[f"{_LABEL}enforce-policy"] = ":".join(policy.get("enforce", _ALLOWED["enforce"]))
        for mode, (level, version) in (policy or _ALLOWED).items():
            found = violations(level, pod["metadata"], pod["spec"], minor_of(version)) if policy else ()
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
            found = violations(level, template.get("metadata") or {}, spec, minor_of(version))
            if found:
                reasons = ", ".join(map(str, found))
                self._note(request, mode, f'would violate PodSecurity "{level}:{version}": {reasons}')

    @staticmethod
    def _note(request: AdmissionRequest, mode: str, text: str) -> None:
        if mode == "warn":
            request.warnings.append(text)
        else:
            request.annotations[f"{_LABEL}audit-violations"] = text

    def _policy(self, namespace: str) -> dict[str, tuple[str, str]]:
        """Mode -> level and version, for the modes that a namespace has set to more than privileged."""
        found = self._objects.cached(core.NAMESPACE, namespace)
        return policy_of(labels_of(found)) if found is not None else {}

    def _namespace(self, request: AdmissionRequest) -> None:
        namespace = subject(request)
        if request.subresource:
            return
        known = [] if request.old is None else label_errors(labels_of(request.old))
        if wrong := [error for error in label_errors(labels_of(namespace)) if error not in known]:
            raise Invalid.of("", "Namespace", name_of(namespace), wrong)
        enforced = policy_of(labels_of(namespace)).get("enforce")
        if request.old is None or enforced is None:
            return
        if policy_of(labels_of(request.old)).get("enforce") == enforced:
            return
        level, version = enforced
        pods = list(self._objects.cached_list(core.POD, name_of(namespace)))[:_EXISTING_MAX]
        alike: dict[str, list[str]] = {}
        for pod in pods:
            found = violations(level, pod["metadata"], pod["spec"], minor_of(version))
            if found:
                alike.setdefault(", ".join(violation.reason for violation in found), []).append(name_of(pod))
        warnings = sorted(f"{_first_of(names)}: {reasons}" for reasons, names in alike.items())
        if warnings:
            head = f'existing pods in namespace "{name_of(namespace)}" violate the new PodSecurity enforce level'
            request.warnings += [f'{head} "{level}:{version}"', *warnings]


def _first_of(names: list[str]) -> str:
    others = len(names) - 1
    return f"{names[0]} (and {others} other pod{'s' if others > 1 else ''})" if others else names[0]


def policy_of(labels: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """An unknown level is restricted where it is enforced, so that a typing error opens no namespace, and nothing
    elsewhere; an unknown version is the latest. Who says nothing of warnings is warned of what is enforced."""
    policy: dict[str, tuple[str, str]] = {}
    for mode in ("enforce", "audit", "warn"):
        level, version = labels.get(_LABEL + mode), _version(labels, mode) or "latest"
        if level is None and mode == "warn" and labels.get(f"{_LABEL}enforce") in _LEVELS:
            level, enforced = labels[f"{_LABEL}enforce"], _version(labels, "enforce") or "latest"
            version = version if f"{_LABEL}warn-version" in labels else enforced
        if level not in (None, *_LEVELS):
            level = RESTRICTED if mode == "enforce" else None
        if level is not None and level != PRIVILEGED:
            policy[mode] = (level, version)
    return policy


def _version(labels: Mapping[str, str], mode: str) -> str:
    """Empty for what is no version."""
    version = labels.get(f"{_LABEL}{mode}-version", "latest")
    return version if version == "latest" or _VERSION.fullmatch(version) else ""


def minor_of(version: str) -> int:
    """Of `latest` or `v1.x`."""
    return LATEST if version == "latest" else int(version.removeprefix("v1."))


def label_errors(labels: Mapping[str, str]) -> list[FieldError]:
    errors = []
    for mode in ("enforce", "audit", "warn"):
        level = labels.get(_LABEL + mode, PRIVILEGED)
        if level not in _LEVELS:
            detail = f"must be one of {', '.join(_LEVELS)}"
            errors.append(invalid(f"metadata.labels[{_LABEL}{mode}]", level, detail))
        if not _version(labels, mode):
            key = f"{_LABEL}{mode}-version"
            errors.append(invalid(f"metadata.labels[{key}]", labels[key], 'must be "latest" or "v1.x"'))
    return errors


def _matters(new: Object, old: Object) -> bool:
    """Whether an update touches what the standards speak of."""
    if new["spec"] != old["spec"]:
        return True
    return (new["metadata"].get("annotations") or {}) != (old["metadata"].get("annotations") or {})
