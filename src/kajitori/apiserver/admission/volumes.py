"""Plugins around storage: the default class, protection of what is in use, growth of claims."""

from kajitori.api import quantity, storage
from kajitori.api.meta import Object, annotations_of, name_of
from kajitori.apiserver.admission.plugin import Kind, Plugin, kind_of, refusal, subject
from kajitori.apiserver.interfaces import AdmissionRequest, Objects, Operation

_CLAIMS: Kind = ("", "persistentvolumeclaims")
_VOLUMES: Kind = ("", "persistentvolumes")
_DEFAULT_CLASS = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
_ATTRIBUTES: Kind = ("storage.k8s.io", "volumeattributesclasses")
_FINALIZERS = {
    _CLAIMS: "kubernetes.io/pvc-protection",
    _VOLUMES: "kubernetes.io/pv-protection",
    _ATTRIBUTES: "kubernetes.io/vac-protection",
}


class DefaultStorageClass(Plugin):
    """A claim that names no class gets the newest default one."""

    kinds = frozenset((_CLAIMS,))

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def mutate(self, request: AdmissionRequest) -> None:
        if request.operation is not Operation.CREATE or request.subresource:
            return
        claim = subject(request)
        if class_of(claim) is not None:
            return
        defaults = [c for c in self._objects.cached_list(storage.STORAGE_CLASS) if _is_default(c)]
        if defaults:
            claim["spec"]["storageClassName"] = name_of(_newest(defaults))


def class_of(claim: Object) -> str | None:
    """None when the claim says nothing; "" when it wants no class."""
    annotated = annotations_of(claim).get("volume.beta.kubernetes.io/storage-class")
    return annotated if annotated is not None else claim["spec"].get("storageClassName")


def _is_default(storage_class: Object) -> bool:
    annotations = annotations_of(storage_class)
    return any(annotations.get(key) == "true" for key in _DEFAULT_CLASS)


def _newest(objects: list[Object]) -> Object:
    newest = max(obj["metadata"]["creationTimestamp"] for obj in objects)
    return min((obj for obj in objects if obj["metadata"]["creationTimestamp"] == newest), key=name_of)


class StorageObjectInUseProtection(Plugin):
    """What is in use stays until nobody uses it: a finalizer that a controller takes away."""

    kinds = frozenset(_FINALIZERS)

    async def mutate(self, request: AdmissionRequest) -> None:
        if request.operation is not Operation.CREATE or request.subresource:
            return
        meta = subject(request)["metadata"]
        finalizer = _FINALIZERS[kind_of(request)]
        if finalizer not in (meta.get("finalizers") or ()):
            meta["finalizers"] = [*(meta.get("finalizers") or ()), finalizer]


class PersistentVolumeClaimResize(Plugin):
    """A claim may grow when it is bound and its class allows it."""

    kinds = frozenset((_CLAIMS,))

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def validate(self, request: AdmissionRequest) -> None:
        if request.operation is not Operation.UPDATE or request.subresource or request.old is None:
            return
        claim, before = subject(request), request.old
        if quantity.compare(_requested(claim), _requested(before)) <= 0:
            return
        if (before.get("status") or {}).get("phase") != "Bound":
            raise refusal(request, "Only bound persistent volume claims can be expanded")
        name = class_of(claim)
        found = self._objects.cached(storage.STORAGE_CLASS, name) if name else None
        if found is None or not found.get("allowVolumeExpansion"):
            why = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc"
            raise refusal(request, f"{why} must support resize")


def _requested(claim: Object) -> str:
    return ((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage") or "0"
