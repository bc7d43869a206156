"""DefaultIngressClass: an Ingress that names no class gets the default one."""

from kajitori.api import networking
from kajitori.api.meta import annotations_of, name_of
from kajitori.apiserver.admission.plugin import Plugin, refusal, subject
from kajitori.apiserver.interfaces import AdmissionRequest, Objects, Operation

_DEFAULT = "ingressclass.kubernetes.io/is-default-class"
_LEGACY = "kubernetes.io/ingress.class"


class DefaultIngressClass(Plugin):
    kinds = frozenset((("networking.k8s.io", "ingresses"),))

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def mutate(self, request: AdmissionRequest) -> None:
        if request.operation is not Operation.CREATE or request.subresource:
            return
        ingress = subject(request)
        if ingress["spec"].get("ingressClassName") is not None or _LEGACY in annotations_of(ingress):
            return
        classes = list(self._objects.cached_list(networking.INGRESS_CLASS))
        defaults = [c for c in classes if annotations_of(c).get(_DEFAULT) == "true"]
        if len(defaults) > 1:
            raise refusal(request, f"{len(defaults)} default IngressClasses were found, only 1 allowed")
        if defaults:
            ingress["spec"]["ingressClassName"] = name_of(defaults[0])
