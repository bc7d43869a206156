"""Running the admission plugins in their order."""

from kajitori.apiserver.interfaces import AdmissionRequest
from kajitori.apiserver.rest.backend import Backend


async def admit_mutating(backend: Backend, request: AdmissionRequest) -> None:
    for plugin in backend.admission:
        await plugin.mutate(request)


async def admit_validating(backend: Backend, request: AdmissionRequest) -> None:
    for plugin in backend.admission:
        await plugin.validate(request)
