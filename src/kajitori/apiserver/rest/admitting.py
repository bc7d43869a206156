"""Running the admission plugins in their order."""

from kajitori.apiserver.interfaces import AdmissionRequest
from kajitori.apiserver.rest.backend import Backend
from kajitori.apiserver.rest.mending import mend_managed_fields, mend_owners


async def admit_mutating(backend: Backend, request: AdmissionRequest) -> None:
    """For requests that have an object."""
    assert request.object is not None
    mend_owners(request, admitted=False)
    owned = request.object["metadata"].get("managedFields")
    for plugin in backend.admission:
        await plugin.mutate(request)
    if request.rounds is not None:  # what users configure may have changed anything
        mend_owners(request, admitted=True)
        mend_managed_fields(request, owned)


async def admit_validating(backend: Backend, request: AdmissionRequest) -> None:
    for plugin in backend.admission:
        await plugin.validate(request)
