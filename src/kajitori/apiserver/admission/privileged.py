"""--allow-privileged=false: no container may be privileged. Upstream counts it among the mistakes of the document."""

from collections.abc import Iterator

from kajitori.api.errors import Invalid
from kajitori.api.field_errors import FieldError, forbidden
from kajitori.api.meta import Object
from kajitori.apiserver.admission.plugin import PODS, Kind, Plugin, kind_of, subject
from kajitori.apiserver.interfaces import AdmissionRequest, Operation

_DETAIL = "disallowed by cluster policy"
_LISTS = ("containers", "initContainers", "ephemeralContainers")
# Where each kind keeps the spec of its pods.
_SPECS: dict[Kind, str] = {
    PODS: "spec",
    ("", "podtemplates"): "template.spec",
    ("", "replicationcontrollers"): "spec.template.spec",
    ("apps", "deployments"): "spec.template.spec",
    ("apps", "replicasets"): "spec.template.spec",
    ("apps", "statefulsets"): "spec.template.spec",
    ("apps", "daemonsets"): "spec.template.spec",
    ("batch", "jobs"): "spec.template.spec",
    ("batch", "cronjobs"): "spec.jobTemplate.spec.template.spec",
}


class PrivilegedContainers(Plugin):
    kinds = frozenset(_SPECS)

    async def validate(self, request: AdmissionRequest) -> None:
        kind = kind_of(request)
        if request.operation is Operation.DELETE or request.subresource not in ("", "ephemeralcontainers"):
            return
        if kind == PODS and request.operation is Operation.UPDATE and not request.subresource:
            return  # what could have made it privileged is immutable
        obj, path = subject(request), _SPECS[kind]
        if errors := list(_errors(_at(obj, path), path)):
            resource = request.resource
            raise Invalid.of(resource.group, resource.kind, obj["metadata"].get("name", ""), errors)


def _at(obj: Object, path: str) -> Object:
    for step in path.split("."):
        obj = obj.get(step) or {}
    return obj


def _errors(spec: Object, path: str) -> Iterator[FieldError]:
    for field in _LISTS:
        for number, container in enumerate(spec.get(field) or ()):
            if (container.get("securityContext") or {}).get("privileged"):
                yield forbidden(f"{path}.{field}[{number}].securityContext.privileged", _DETAIL)
