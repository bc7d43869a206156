"""What expressions see of a request: the request in the version that the rule names, and what surrounds it."""

from dataclasses import dataclass, field
from typing import Any

from kajitori.api import core
from kajitori.api.errors import NotFound
from kajitori.api.meta import Object
from kajitori.api.registry import Registry
from kajitori.api.resource import Resource
from kajitori.apiserver.admission.figures import AdmissionFigures
from kajitori.apiserver.admission.matching import is_namespace, namespace_of_request
from kajitori.apiserver.admission.versions import Versions, shown_in
from kajitori.apiserver.admission.webhook_review import admission_request
from kajitori.apiserver.interfaces import AdmissionRequest, Authorizer, Objects, Operation
from kajitori.kit.clock import Clock


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What webhooks and policies need of the server. `versions` and `registry` know the same kinds."""

    objects: Objects
    authorizer: Authorizer
    registry: Registry
    versions: Versions
    clock: Clock
    figures: AdmissionFigures = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "figures", AdmissionFigures(self.clock.monotonic))


@dataclass(slots=True)
class Scene:
    """One request for one rule. `asked` is the AdmissionRequest without its objects."""

    request: AdmissionRequest
    version: Resource
    asked: Object
    object: Object | None
    old: Object | None
    namespace: Object | None
    around: Surroundings
    answers: dict[Any, Any]
    """What the authorizer has been asked so far."""
    params: Object | None = None


async def scene_of(
    around: Surroundings, request: AdmissionRequest, version: Resource, namespace: Object | None
) -> Scene:
    """Raises StatusError when the objects cannot be converted to this version."""
    obj, old = await shown_in(request, version)
    return Scene(request, version, admission_request(request, version), obj, old, namespace, around, {})


async def namespace_of(objects: Objects, request: AdmissionRequest) -> Object | None:
    """The Namespace that a request is in, from the store itself when memory does not have it."""
    name = namespace_of_request(request)
    if not name or (is_namespace(request) and request.operation is Operation.CREATE):
        return None
    found = objects.cached(core.NAMESPACE, name)
    if found is not None:
        return found
    try:
        return await objects.get(core.NAMESPACE, name)
    except NotFound:
        return None
