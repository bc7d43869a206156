"""The kinds of storage.k8s.io."""

from kajitori.api.columns import volumes as volumes_columns
from kajitori.api.columns.cells import WITHOUT_OWN_COLUMNS
from kajitori.api.defaults import volumes
from kajitori.api.defaults.generation import count_from_nothing
from kajitori.api.defaults.status import keep_status
from kajitori.api.resource import Resource, Subresource
from kajitori.api.validation import immutability
from kajitori.api.validation import storage as storage_validation
from kajitori.api.warnings import volumes as volumes_warnings

CSI_DRIVER = Resource(
    group="storage.k8s.io",
    version="v1",
    kind="CSIDriver",
    plural="csidrivers",
    namespaced=False,
    definition="io.k8s.api.storage.v1.CSIDriver",
    columns=volumes_columns.CSI_DRIVER,
    default=volumes.default_csi_driver,
    validate=storage_validation.validate_csi_driver,
    validate_update=immutability.validate_csi_driver_update,
    prepare_update=count_from_nothing,
    warnings=volumes_warnings.driver_warnings,
)

CSI_NODE = Resource(
    group="storage.k8s.io",
    version="v1",
    kind="CSINode",
    plural="csinodes",
    namespaced=False,
    definition="io.k8s.api.storage.v1.CSINode",
    columns=volumes_columns.CSI_NODE,
    validate=storage_validation.validate_csi_node,
    validate_update=immutability.validate_csi_node_update,
)

CSI_STORAGE_CAPACITY = Resource(
    group="storage.k8s.io",
    version="v1",
    kind="CSIStorageCapacity",
    plural="csistoragecapacities",
    definition="io.k8s.api.storage.v1.CSIStorageCapacity",
    columns=WITHOUT_OWN_COLUMNS,
    validate=storage_validation.validate_storage_capacity,
    validate_update=storage_validation.validate_storage_capacity_update,
    warnings=volumes_warnings.capacity_warnings,
)

STORAGE_CLASS = Resource(
    group="storage.k8s.io",
    version="v1",
    kind="StorageClass",
    plural="storageclasses",
    namespaced=False,
    short_names=("sc",),
    definition="io.k8s.api.storage.v1.StorageClass",
    columns=volumes_columns.STORAGE_CLASS,
    default=volumes.default_storage_class,
    validate=storage_validation.validate_storage_class,
    validate_update=storage_validation.validate_storage_class_update,
    warnings=volumes_warnings.storage_class_warnings,
)

VOLUME_ATTACHMENT = Resource(
    group="storage.k8s.io",
    version="v1",
    kind="VolumeAttachment",
    plural="volumeattachments",
    namespaced=False,
    subresources=(Subresource(name="status", verbs=("get", "patch", "update")),),
    definition="io.k8s.api.storage.v1.VolumeAttachment",
    columns=volumes_columns.ATTACHMENT,
    validate=storage_validation.validate_attachment,
    validate_update=immutability.validate_attachment_update,
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
    columns=volumes_columns.ATTRIBUTES_CLASS,
    validate=storage_validation.validate_attributes_class,
    validate_update=storage_validation.validate_attributes_class_update,
)

RESOURCES = (
    CSI_DRIVER,
    CSI_NODE,
    CSI_STORAGE_CAPACITY,
    STORAGE_CLASS,
    VOLUME_ATTACHMENT,
    VOLUME_ATTRIBUTES_CLASS,
)
