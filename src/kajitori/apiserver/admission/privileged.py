"""--allow-privileged=false: no container may be privileged. Upstream counts it among the mistakes of the document."""

from collections.abc import Iterator

from kajitori.api.errors import Invalid
from kajitori.api.field_errors import FieldError, forbidden
from kajitori.api.meta import Object
from kajitori.apiserver.admission.plugin import PODS, Kind, Plugin, kind_of, subject
from kajitori.apiserver.admission.pod_templates import TEMPLATES
from kajitori.apiserver.interfaces import AdmissionRequest, Operation

_DETAIL = "disallowed by cluster policy"
_LISTS = ("containers", "initContainers", "ephemeralContainers")
_SPECS: dict[Kind, tuple[str, ...]] = {PODS: ("spec",)} | {kind: (*path, "spec") for kind, path in TEMPLATES.items()}


class PrivilegedContainers(Plugin):
    kinds = frozenset(_SPECS)

    async def validate(self, request: AdmissionRequest) -> None:
        kind = kind_of(request)
        if request.operation is Operation.DELETE or request.subresource not in ("", "ephemeralcontainers"):
            return
        if kind == PODS and request.operation is Operation.UPDATE and not request.subresource:
            return  # what could have made it privileged is immutable
        obj, path = subject(request), _SPECS[kind]
        if errors := list(_errors(_at(obj, path), ".".join(path))):
            resource = request.resource
            raise Invalid.of(resource.group, resource.kind, obj["metadata"].get("name", ""), errors)


def _at(obj: Object, path: tuple[str, ...]) -> Object:
    for step in path:
        obj = obj.get(step) or {}
    return obj


def _errors(spec: Object, path: str) -> Iterator[FieldError]:
    for field in _LISTS:
        for number, container in enumerate(spec.get(field) or ()):
            if (container.get("securityContext") or {}).get("privileged"):
                yield forbidden(f"{path}.{field}[{number}].securityContext.privileged", _DETAIL)
