"""Volumes: their sources in pods and persistent volumes, claims, classes and CSI."""

from collections.abc import Iterable, Mapping

from kajitori.api.field_errors import FieldError, InOrder, Verbatim, duplicate, forbidden, invalid, required
from kajitori.api.meta import Object
from kajitori.api.quantity import parse
from kajitori.api.validation.checks import (
    Errors,
    annotations,
    driver_name,
    each,
    label_selector,
    labels,
    must,
    must_be_given,
    no_backsteps,
    one_of,
    optional_one_of,
    relative_path,
)
from kajitori.api.validation.downward import resource_field_reference, volume_field_reference
from kajitori.api.validation.formats import label_errors, subdomain_errors
from kajitori.api.validation.placement import node_selector
from kajitori.api.validation.resources import amount_positive
from kajitori.api.validation.volume_sources import (
    REMOTE,
    REMOTE_OF_CLUSTER,
    SourceCheck,
    git_repository,
    needs,
    secret_of_cluster,
)

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
_MODE_RULE = "must be a number between 0 and 0777 (octal), both inclusive"
_TOKEN_SECONDS_MIN, _TOKEN_SECONDS_MAX = 10 * 60, 1 << 32


def _mode(path: str, mode: int | None) -> Errors:
    if mode is not None and not 0 <= mode <= 0o777:
        yield invalid(path, mode, _MODE_RULE)


def _file_path(path: str, value: str) -> Errors:
    """A path inside a volume that the kubelet writes: names that begin with `..` are its own."""
    yield from relative_path(path, value)
    if value.startswith("..") and not value.startswith("../") and value != "..":
        yield invalid(path, value, "must not start with '..'")


def _items(path: str, source: Object) -> Errors:
    for item, at in each(source, "items", path):
        if not item.get("key"):
            yield required(f"{at}.key")
        if not item.get("path"):
            yield required(f"{at}.path")
        yield from _file_path(f"{at}.path", item.get("path") or "")
        yield from _mode(f"{at}.mode", item.get("mode"))


def _host_path(path: str, source: Object) -> Errors:
    if not source.get("path"):
        yield required(f"{path}.path")
        return
    yield from no_backsteps(f"{path}.path", source["path"])
    yield from optional_one_of(f"{path}.type", source.get("type"), _HOST_PATH_TYPES)


def _empty_dir(path: str, source: Object) -> Errors:
    limit = source.get("sizeLimit")
    if limit is not None and parse(limit).nanos < 0:
        yield forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity")


def _secret(path: str, source: Object) -> Errors:
    if not source.get("secretName"):
        yield required(f"{path}.secretName")
    yield from _mode(f"{path}.defaultMode", source.get("defaultMode"))
    yield from _items(path, source)


def _config_map(path: str, source: Object) -> Errors:
    if not source.get("name"):
        yield required(f"{path}.name")
    yield from _mode(f"{path}.defaultMode", source.get("defaultMode"))
    yield from _items(path, source)


def _downward(path: str, source: Object) -> Errors:
    yield from _mode(f"{path}.defaultMode", source.get("defaultMode"))
    for item, _ in each(source, "items", path):
        yield from _downward_file(path, item)


def _downward_file(path: str, item: Object) -> Errors:
    if not item.get("path"):
        yield required(f"{path}.path")
    yield from _file_path(f"{path}.path", item.get("path") or "")
    field, resource = item.get("fieldRef"), item.get("resourceFieldRef")
    if field is not None:
        yield from volume_field_reference(f"{path}.fieldRef", field)
        if resource is not None:
            yield invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously")
    elif resource is not None:
        yield from resource_field_reference(f"{path}.resourceFieldRef", resource, of_volume=True)
    else:
        yield required(path, "one of fieldRef and resourceFieldRef is required")
    yield from _mode(f"{path}.mode", item.get("mode"))


_PROJECTIONS = ("secret", "downwardAPI", "configMap", "serviceAccountToken")


def _projected(path: str, source: Object) -> Errors:
    yield from _mode(f"{path}.defaultMode", source.get("defaultMode"))
    paths: set[str] = set()
    for projection, at in each(source, "sources", path):
        given = [name for name in _PROJECTIONS if projection.get(name) is not None]
        for index, name in enumerate(given):
            if index:
                yield forbidden(f"{at}.{name}", "may not specify more than 1 volume type")
                continue
            yield from _projection(at, name, projection[name], path)
        for used in _projected_paths(projection):
            if used and used in paths:
                yield invalid(path, used, "conflicting duplicate paths")
            paths.add(used)


def _projection(path: str, name: str, source: Object, projected: str) -> Errors:
    at = f"{path}.{name}"
    if name in ("secret", "configMap"):
        if not source.get("name"):
            yield required(f"{at}.name")
        yield from _items(at, source)
    elif name == "downwardAPI":
        for item, _ in each(source, "items", at):
            yield from _downward_file(at, item)
    elif name == "serviceAccountToken":
        seconds = source.get("expirationSeconds")
        if seconds is not None and seconds < _TOKEN_SECONDS_MIN:
            yield invalid(f"{at}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
        if seconds is not None and seconds > _TOKEN_SECONDS_MAX:
            yield invalid(f"{at}.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")
        if not source.get("path"):
            yield required(f"{projected}.path")  # upstream does not say of which source
        else:
            yield from _file_path(f"{projected}.path", source["path"])


def _projected_paths(projection: Object) -> Iterable[str]:
    for name in ("secret", "configMap", "downwardAPI"):
        for item in (projection.get(name) or {}).get("items") or ():
            yield item.get("path") or ""
    yield (projection.get("serviceAccountToken") or {}).get("path") or ""


def _csi(path: str, source: Object) -> Errors:
    yield from driver_name(f"{path}.driver", source.get("driver") or "")
    reference = source.get("nodePublishSecretRef")
    if reference is not None and not reference.get("name"):
        yield required(f"{path}.nodePublishSecretRef.name")
    elif reference is not None:
        yield from must(f"{path}.name", reference["name"], subdomain_errors(reference["name"]))


def _csi_of_cluster(path: str, source: Object) -> Errors:
    yield from driver_name(f"{path}.driver", source.get("driver") or "")
    if not source.get("volumeHandle"):
        yield required(f"{path}.volumeHandle")
    for use in ("controllerPublish", "controllerExpand", "nodePublish", "nodeExpand"):
        yield from secret_of_cluster(f"{path}.{use}SecretRef", source.get(f"{use}SecretRef"))


def _local(path: str, source: Object) -> Errors:
    if not source.get("path"):
        yield required(f"{path}.path")
    else:
        yield from no_backsteps(f"{path}.path", source["path"])


def _ephemeral(path: str, source: Object) -> Errors:
    template = source.get("volumeClaimTemplate")
    if template is None:
        yield required(f"{path}.volumeClaimTemplate")
        return
    metadata, at = template.get("metadata") or {}, f"{path}.volumeClaimTemplate"
    yield from annotations(f"{at}.metadata.annotations", metadata.get("annotations"))
    yield from labels(f"{at}.metadata.labels", metadata.get("labels"))
    yield from claim_spec(f"{at}.spec", template.get("spec") or {})


def _image(path: str, source: Object) -> Errors:
    if not source.get("reference"):
        yield required(f"{path}.reference")
    yield from one_of(f"{path}.pullPolicy", source.get("pullPolicy"), ("Always", "IfNotPresent", "Never"))


_POD_SOURCES: Mapping[str, SourceCheck] = {
    "emptyDir": _empty_dir,
    "hostPath": _host_path,
    **REMOTE,
    "gitRepo": git_repository,
    "secret": _secret,
    "persistentVolumeClaim": needs("claimName"),
    "configMap": _config_map,
    "downwardAPI": _downward,
    "projected": _projected,
    "csi": _csi,
    "ephemeral": _ephemeral,
    "image": _image,
}
_CLUSTER_SOURCES: Mapping[str, SourceCheck] = {
    "hostPath": _host_path,
    **REMOTE_OF_CLUSTER,
    "local": _local,
    "csi": _csi_of_cluster,
}


_SHOWN = {"gcePersistentDisk": "persistentDisk"}
"""How upstream calls a source when something is wrong inside."""


def _source(path: str, holder: Object, sources: Mapping[str, SourceCheck]) -> Errors:
    given = [name for name in sources if holder.get(name) is not None]
    for index, name in enumerate(given):
        if index:
            yield forbidden(f"{path}.{name}", "may not specify more than 1 volume type")
        else:
            yield from sources[name](f"{path}.{_SHOWN.get(name, name)}", holder[name])
    if not given:
        yield required(path, "must specify a volume type")


def pod_volumes(path: str, spec: Object, pod_name: str = "") -> tuple[list[FieldError], dict[str, Object]]:
    """What is wrong with the volumes, and those that are right by their names: only these can be mounted."""
    errors: list[FieldError] = []
    good: dict[str, Object] = {}
    for volume, at in each(spec, "volumes", path):
        name = volume.get("name") or ""
        problems = list(_source(at, volume, _POD_SOURCES))
        if pod_name and volume.get("ephemeral") is not None:
            claim = f"{pod_name}-{name}"
            problems += must(f"{at}.name", name, [f'PVC name "{claim}": {why}' for why in subdomain_errors(claim)])
        problems += must_be_given(f"{at}.name", name, label_errors)
        if name in good:
            problems.append(duplicate(f"{at}.name", name))
        errors += problems
        if not problems:
            good[name] = volume
    return errors, good


def claim_spec(path: str, spec: Object) -> Errors:
    modes = spec.get("accessModes") or ()
    if not modes:
        yield required(f"{path}.accessModes", "at least 1 access mode is required")
    yield from label_selector(f"{path}.selector", spec.get("selector"))
    for mode in modes:
        yield from one_of(f"{path}.accessModes", mode, ACCESS_MODES)
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        yield forbidden(f"{path}.accessModes", "may not use ReadWriteOncePod with other access modes")
    storage = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if storage is None:
        yield required(f"{path}.resources[storage]")
    elif parse(storage).nanos <= 0:
        yield from amount_positive(f"{path}.resources[storage]", storage)
    name = spec.get("storageClassName")
    if name:
        yield from must(f"{path}.storageClassName", name, subdomain_errors(name))
    yield from optional_one_of(f"{path}.volumeMode", spec.get("volumeMode"), ("Block", "Filesystem"))
    yield from _data_source(f"{path}.dataSource", spec.get("dataSource"))
    yield from _data_source(f"{path}.dataSourceRef", spec.get("dataSourceRef"))
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if (
        source is not None
        and reference is not None
        and any((source.get(key) or "") != (reference.get(key) or "") for key in ("apiGroup", "kind", "name"))
    ):
        yield invalid(path, InOrder(), "must match dataSourceRef")
    attributes = spec.get("volumeAttributesClassName")
    if attributes:
        yield from must(f"{path}.volumeAttributesClassName", attributes, subdomain_errors(attributes))


def _data_source(path: str, source: Object | None) -> Errors:
    if source is None:
        return
    yield from needs("name", "kind")(path, source)
    if not source.get("apiGroup") and source.get("kind") != "PersistentVolumeClaim":
        yield invalid(
            path, source.get("kind") or "", "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        )


def validate_claim(claim: Object) -> list[FieldError]:
    return list(claim_spec("spec", claim.get("spec") or {}))


def validate_volume_of_cluster(volume: Object) -> list[FieldError]:
    spec = volume.get("spec") or {}
    return [*_volume_of_cluster(spec), *_mount_options(volume["metadata"], spec)]


_MOUNT_OPTIONS = "volume.beta.kubernetes.io/mount-options"
_MOUNTED_WITH_OPTIONS = {
    "gcePersistentDisk", "awsElasticBlockStore", "glusterfs", "nfs", "rbd", "quobyte", "iscsi", "cinder", "cephfs",
    "azureFile", "vsphereVolume", "azureDisk", "photonPersistentDisk",
}  # fmt: skip


def _mount_options(metadata: Object, spec: Object) -> Errors:
    if _MOUNT_OPTIONS in (metadata.get("annotations") or ()) and not _MOUNTED_WITH_OPTIONS.intersection(spec):
        detail = "may not specify mount options for this volume type"
        yield forbidden(f"metadata.annotations.{_MOUNT_OPTIONS}", detail)


_INLINE = "may not be specified in the context of inline volumes"


def inline_volume(path: str, spec: Object) -> Errors:
    """A volume that is attached without being an object."""
    for field in ("claimRef", "capacity"):
        if spec.get(field):
            yield forbidden(f"{path}.{field}", _INLINE)
    if spec.get("csi") is None:
        yield required(f"{path}.csi", "has to be specified in the context of inline volumes")
    yield from _access_modes(path, spec)
    if spec.get("persistentVolumeReclaimPolicy") not in (None, "Retain"):
        detail = "may only be Retain in the context of inline volumes"
        yield forbidden(f"{path}.persistentVolumeReclaimPolicy", detail)
    if spec.get("nodeAffinity") is not None:
        yield forbidden(f"{path}.nodeAffinity", _INLINE)
    yield from _source(path, spec, _CLUSTER_SOURCES)
    if spec.get("storageClassName"):
        yield forbidden(f"{path}.storageClassName", _INLINE)
    if spec.get("volumeMode") not in (None, "Filesystem"):
        detail = "may not specify volumeMode other than Filesystem in the context of inline volumes"
        yield forbidden(f"{path}.volumeMode", detail)


def _access_modes(path: str, spec: Object) -> Errors:
    modes = spec.get("accessModes") or ()
    if not modes:
        yield required(f"{path}.accessModes")
    for mode in modes:
        yield from one_of(f"{path}.accessModes", mode, ACCESS_MODES)
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        yield forbidden(f"{path}.accessModes", "may not use ReadWriteOncePod with other access modes")


def _volume_of_cluster(spec: Object) -> Errors:
    yield from _access_modes("spec", spec)
    capacity = spec.get("capacity")
    if not capacity:
        yield required("spec.capacity")
    if not capacity or "storage" not in capacity or len(capacity) > 1:
        yield FieldError("FieldValueNotSupported", "spec.capacity", capacity, 'supported values: "storage"')
    for name, quantity in (capacity or {}).items():
        at = f"spec.capacity[{name}]"
        if parse(quantity).nanos < 0:
            yield invalid(at, Verbatim(quantity), "must be a valid resource quantity")
        yield from amount_positive(at, quantity)
    policy = spec.get("persistentVolumeReclaimPolicy")
    yield from one_of("spec.persistentVolumeReclaimPolicy", policy, ("Delete", "Recycle", "Retain"))
    affinity = spec.get("nodeAffinity")
    if affinity is not None and affinity.get("required") is None:
        yield required("spec.nodeAffinity.required", "must specify required node constraints")
    elif affinity is not None:
        yield from node_selector("spec.nodeAffinity.required", affinity["required"])
    yield from _source("spec", spec, _CLUSTER_SOURCES)
    host_path = (spec.get("hostPath") or {}).get("path")
    if host_path and host_path.rstrip("/") == "" and policy == "Recycle":
        yield forbidden("spec.persistentVolumeReclaimPolicy", "may not be 'recycle' for a hostPath mount of '/'")
    if spec.get("local") is not None and affinity is None:
        yield required("spec.nodeAffinity", "Local volume requires node affinity")
    if name := spec.get("storageClassName"):
        yield from must("spec.storageClassName", name, subdomain_errors(name))
    yield from optional_one_of("spec.volumeMode", spec.get("volumeMode"), ("Block", "Filesystem"))
    attributes = spec.get("volumeAttributesClassName")
    if attributes is not None:
        at = "spec.volumeAttributesClassName"
        if not attributes:
            yield required(at, "an empty string is disallowed")
        else:
            yield from must(at, attributes, subdomain_errors(attributes))
        if spec.get("csi") is None:
            yield required("spec.csi", "has to be specified when using volumeAttributesClassName")
