"""NamespaceLifecycle: nothing is created where there is no namespace, or in one that is going."""

from kajitori.api import core
from kajitori.api.errors import NotFound
from kajitori.api.meta import is_deleting
from kajitori.apiserver.admission.plugin import Plugin, refusal
from kajitori.apiserver.interfaces import AdmissionRequest, Objects, Operation

_IMMORTAL = ("default", "kube-system", "kube-public")


class NamespaceLifecycle(Plugin):
    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def mutate(self, request: AdmissionRequest) -> None:
        resource = request.resource
        if resource.plural == "namespaces" and not resource.group:
            if request.operation is Operation.DELETE and request.name in _IMMORTAL:
                raise refusal(request, "this namespace may not be deleted")
            return
        if not resource.namespaced or request.operation is not Operation.CREATE:
            return
        namespace = self._objects.cached(core.NAMESPACE, request.namespace)
        if namespace is None:
            namespace = await self._newest(request.namespace)
        if not is_deleting(namespace):
            return
        name = request.namespace
        error = refusal(request, f"unable to create new content in namespace {name} because it is being terminated")
        cause = {
            "reason": "NamespaceTerminating",
            "message": f"namespace {name} is being terminated",
            "field": "metadata.namespace",
        }
        error.details = {**(error.details or {}), "causes": [cause]}
        raise error

    async def _newest(self, name: str) -> dict[str, object]:
        """From the store: memory may lag behind a namespace that has just been made."""
        try:
            return await self._objects.get(core.NAMESPACE, name)
        except NotFound:
            raise NotFound.of("", "namespaces", name) from None
