"""Volumes on remote disks and file systems: what each source must say. `SourceCheck` is the shape of all of them."""

import re
from collections.abc import Callable, Mapping

from kajitori.api.field_errors import invalid, required
from kajitori.api.meta import Object
from kajitori.api.validation.checks import Errors, must, must_be_given, one_of, relative_path, unsupported, when_given
from kajitori.api.validation.formats import label_errors, subdomain_errors

SourceCheck = Callable[[str, Object], Errors]

_MANAGED_DISK = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"
_BLOB_DISK = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"
_QUALIFIED_INITIATORS = {
    "iqn": re.compile(r"iqn\.\d{4}-\d{2}\.([0-9a-z-.]+)(:([^\s,;]+))$", re.IGNORECASE),
    "eui": re.compile(r"^eui\.[0-9a-z]{16}$", re.IGNORECASE),
    "naa": re.compile(r"^naa\.[0-9a-z]{32}$", re.IGNORECASE),
}
_PAIRS = "must be a host:port pair or multiple pairs separated by commas"


def needs(*fields: str) -> SourceCheck:
    """A source that only has to say these."""

    def check(path: str, source: Object) -> Errors:
        return (required(f"{path}.{name}") for name in fields if not source.get(name))

    return check


def _with_partition(field: str) -> SourceCheck:
    def check(path: str, source: Object) -> Errors:
        yield from needs(field)(path, source)
        partition = source.get("partition", 0)
        if not 0 <= partition <= 255:
            yield invalid(f"{path}.partition", partition, "must be between 1 and 255, inclusive")

    return check


def _nfs(path: str, source: Object) -> Errors:
    yield from needs("server", "path")(path, source)
    shared = source.get("path") or ""
    if not shared.startswith("/"):
        yield invalid(f"{path}.path", shared, "must be an absolute path")


def _iscsi_of(*, cluster: bool) -> SourceCheck:
    detail = "must be valid format" if cluster else "must be valid format starting with iqn, eui, or naa"

    def check(path: str, source: Object) -> Errors:
        yield from needs("targetPortal", "iqn")(path, source)
        yield from _initiator(f"{path}.iqn", source.get("iqn") or "", detail)
        if not 0 <= source.get("lun", 0) <= 255:
            yield invalid(f"{path}.lun", source["lun"], "must be between 0 and 255, inclusive")
        secret = source.get("secretRef")
        if (source.get("chapAuthDiscovery") or source.get("chapAuthSession")) and secret is None:
            yield required(f"{path}.secretRef")
        if cluster and secret is not None and not secret.get("name"):
            yield required(f"{path}.secretRef.name")
        yield from _initiator(f"{path}.initiatorname", source.get("initiatorName") or "", detail)

    return check


def _initiator(path: str, name: str, unknown: str) -> Errors:
    if not name:
        return
    pattern = _QUALIFIED_INITIATORS.get(name[:3])
    if pattern is None:
        yield invalid(path, name, unknown)
    elif not pattern.match(name):
        yield invalid(path, name, "must be valid format")


def _flocker(path: str, source: Object) -> Errors:
    name, uuid = source.get("datasetName") or "", source.get("datasetUUID") or ""
    if not name and not uuid:
        yield required(path, "one of datasetName and datasetUUID is required")
    if name and uuid:
        yield invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously")
    if "/" in name:
        yield invalid(f"{path}.datasetName", name, "must not contain '/'")


def _fibre_channel(path: str, source: Object) -> Errors:
    names, identifiers, lun = source.get("targetWWNs"), source.get("wwids"), source.get("lun")
    if not names and not identifiers:
        yield required(f"{path}.targetWWNs", "must specify either targetWWNs or wwids, but not both")
    if names and identifiers:
        detail = "targetWWNs and wwids can not be specified simultaneously"
        yield invalid(f"{path}.targetWWNs", names, detail)
    if names and lun is None:
        yield required(f"{path}.lun", "lun is required if targetWWNs is specified")
    elif names and lun is not None and not 0 <= lun <= 255:
        yield invalid(f"{path}.lun", lun, "must be between 0 and 255, inclusive")


def _cinder(path: str, source: Object) -> Errors:
    yield from needs("volumeID")(path, source)
    yield from _named_secret(path, source)


def _named_secret(path: str, source: Object) -> Errors:
    if (secret := source.get("secretRef")) is not None and not secret.get("name"):
        yield required(f"{path}.secretRef.name")


def _azure_disk(path: str, source: Object) -> Errors:
    uri, caching, kind = source.get("diskURI") or "", source.get("cachingMode"), source.get("kind")
    yield from needs("diskName", "diskURI")(path, source)
    if caching is not None:
        yield from one_of(f"{path}.cachingMode", caching, ("None", "ReadOnly", "ReadWrite"))
    if kind is None:
        return
    yield from one_of(f"{path}.kind", kind, ("Dedicated", "Managed", "Shared"))
    begins, form = ("/subscriptions/", _MANAGED_DISK) if kind == "Managed" else ("https://", _BLOB_DISK)
    if not uri.startswith(begins):
        yield unsupported(f"{path}.diskURI", uri, (form,))


def _quobyte(path: str, source: Object) -> Errors:
    registry = source.get("registry") or ""
    if not registry:
        yield required(f"{path}.registry", _PAIRS)
    elif len(source.get("tenant") or "") >= 65:
        yield required(f"{path}.tenant", "must be a UUID and may not exceed a length of 64 characters")
    else:
        pairs = registry.split(",")
        yield from (invalid(f"{path}.registry", registry, _PAIRS) for pair in pairs if pair.count(":") != 1)
    yield from needs("volume")(path, source)


def _storage_os(path: str, source: Object) -> Errors:
    yield from must_be_given(f"{path}.volumeName", source.get("volumeName"), label_errors)
    yield from when_given(f"{path}.volumeNamespace", source.get("volumeNamespace"), label_errors)
    yield from _named_secret(path, source)


def _with_whole_secret(check: SourceCheck) -> SourceCheck:
    """Of a persistent volume, whose secret has a namespace."""

    def whole(path: str, source: Object) -> Errors:
        yield from check(path, source)
        if (secret := source.get("secretRef")) is not None and not secret.get("namespace"):
            yield required(f"{path}.secretRef.namespace")

    return whole


def _gluster_of_cluster(path: str, source: Object) -> Errors:
    yield from needs("endpoints", "path")(path, source)
    namespace, at = source.get("endpointsNamespace"), f"{path}.endpointsNamespace"
    if namespace == "":
        yield invalid(at, namespace, "if the endpointnamespace is set, it must be a valid namespace name")
    elif namespace is not None:
        yield from must(at, namespace, label_errors(namespace))


def git_repository(path: str, source: Object) -> Errors:
    yield from needs("repository")(path, source)
    yield from relative_path(f"{path}.directory", source.get("directory") or "")


def _azure_file_of_cluster(path: str, source: Object) -> Errors:
    yield from needs("secretName", "shareName")(path, source)
    if source.get("secretNamespace") == "":
        yield required(f"{path}.secretNamespace")


def secret_of_cluster(path: str, reference: Object | None) -> Errors:
    """A secret that a persistent volume names, with its namespace."""
    if reference is None:
        return
    for field in ("name", "namespace"):
        value = reference.get(field) or ""
        if not value:
            yield required(f"{path}.{field}")
        else:
            form = label_errors if field == "namespace" else subdomain_errors
            yield from must(f"{path}.{field}", value, form(value))


REMOTE: Mapping[str, SourceCheck] = {
    "gcePersistentDisk": _with_partition("pdName"),
    "awsElasticBlockStore": _with_partition("volumeID"),
    "nfs": _nfs,
    "iscsi": _iscsi_of(cluster=False),
    "glusterfs": needs("endpoints", "path"),
    "flocker": _flocker,
    "rbd": needs("monitors", "image"),
    "cinder": _cinder,
    "cephfs": needs("monitors"),
    "fc": _fibre_channel,
    "flexVolume": needs("driver"),
    "azureFile": needs("secretName", "shareName"),
    "vsphereVolume": needs("volumePath"),
    "photonPersistentDisk": needs("pdID"),
    "portworxVolume": needs("volumeID"),
    "azureDisk": _azure_disk,
    "scaleIO": needs("gateway", "system", "volumeName"),
    "quobyte": _quobyte,
    "storageos": _storage_os,
}
REMOTE_OF_CLUSTER: Mapping[str, SourceCheck] = {
    **REMOTE,
    "iscsi": _iscsi_of(cluster=True),
    "azureFile": _azure_file_of_cluster,
    "cinder": _with_whole_secret(_cinder),
    "storageos": _with_whole_secret(_storage_os),
    "glusterfs": _gluster_of_cluster,
}
