"""The kinds of storage.k8s.io."""

from kajitori.api.defaults import volumes
from kajitori.api.defaults.status import keep_status
from kajitori.api.resource import Resource, Subresource

CSI_DRIVER = Resource(
    group="storage.k8s.io",
    version="v1",
    kind="CSIDriver",
    plural="csidrivers",
    namespaced=False,
    definition="io.k8s.api.storage.v1.CSIDriver",
    default=volumes.default_csi_driver,
)

CSI_NODE = Resource(
    group="storage.k8s.io",
    version="v1",
    kind="CSINode",
    plural="csinodes",
    namespaced=False,
    definition="io.k8s.api.storage.v1.CSINode",
)

CSI_STORAGE_CAPACITY = Resource(
    group="storage.k8s.io",
    version="v1",
    kind="CSIStorageCapacity",
    plural="csistoragecapacities",
    definition="io.k8s.api.storage.v1.CSIStorageCapacity",
)

STORAGE_CLASS = Resource(
    group="storage.k8s.io",
    version="v1",
    kind="StorageClass",
    plural="storageclasses",
    namespaced=False,
    short_names=("sc",),
    definition="io.k8s.api.storage.v1.StorageClass",
    default=volumes.default_storage_class,
)

VOLUME_ATTACHMENT = Resource(
    group="storage.k8s.io",
    version="v1",
    kind="VolumeAttachment",
    plural="volumeattachments",
    namespaced=False,
    subresources=(Subresource(name="status", verbs=("get", "patch", "update")),),
    definition="io.k8s.api.storage.v1.VolumeAttachment",
    prepare_create=volumes.prepare_attachment,
    prepare_update=keep_status,
)

VOLUME_ATTRIBUTES_CLASS = Resource(
    group="storage.k8s.io",
    version="v1",
    kind="VolumeAttributesClass",
    plural="volumeattributesclasses",
    namespaced=False,
    short_names=("vac",),
    definition="io.k8s.api.storage.v1.VolumeAttributesClass",
)

RESOURCES = (
    CSI_DRIVER,
    CSI_NODE,
    CSI_STORAGE_CAPACITY,
    STORAGE_CLASS,
    VOLUME_ATTACHMENT,
    VOLUME_ATTRIBUTES_CLASS,
)
