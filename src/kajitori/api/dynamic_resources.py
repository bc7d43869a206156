"""The kinds of resource.k8s.io."""

from kajitori.api import selectable
from kajitori.api.columns import cluster as cluster_columns
from kajitori.api.defaults import cluster
from kajitori.api.defaults.status import begin_with, keep_status
from kajitori.api.resource import Resource, Subresource
from kajitori.api.validation import dynamic_resources as devices_validation
from kajitori.api.validation import immutability, statuses
from kajitori.api.validation.resource_slices import validate_resource_slice
from kajitori.api.warnings import extensions as extensions_warnings

DEVICE_CLASS = Resource(
    group="resource.k8s.io",
    version="v1",
    kind="DeviceClass",
    plural="deviceclasses",
    namespaced=False,
    validate=devices_validation.validate_device_class,
    definition="io.k8s.api.resource.v1.DeviceClass",
    columns=cluster_columns.NAME_AND_AGE,
    counts_generation=True,
)

RESOURCE_CLAIM = Resource(
    group="resource.k8s.io",
    version="v1",
    kind="ResourceClaim",
    plural="resourceclaims",
    subresources=(
        Subresource(
            name="status", verbs=("get", "patch", "update"), validate_update=statuses.validate_resource_claim_status
        ),
    ),
    definition="io.k8s.api.resource.v1.ResourceClaim",
    columns=cluster_columns.RESOURCE_CLAIM,
    default=cluster.default_resource_claim,
    validate=devices_validation.validate_resource_claim,
    revalidate=immutability.validate_resource_claim_update,
    prepare_create=begin_with({}),
    prepare_update=keep_status,
)

RESOURCE_CLAIM_TEMPLATE = Resource(
    group="resource.k8s.io",
    version="v1",
    kind="ResourceClaimTemplate",
    plural="resourceclaimtemplates",
    definition="io.k8s.api.resource.v1.ResourceClaimTemplate",
    columns=cluster_columns.NAME_AND_AGE,
    default=cluster.default_resource_claim_template,
    validate=devices_validation.validate_resource_claim_template,
    validate_update=immutability.validate_resource_claim_template_update,
)

RESOURCE_SLICE = Resource(
    group="resource.k8s.io",
    version="v1",
    kind="ResourceSlice",
    plural="resourceslices",
    namespaced=False,
    definition="io.k8s.api.resource.v1.ResourceSlice",
    columns=cluster_columns.RESOURCE_SLICE,
    selectable_fields=selectable.RESOURCE_SLICE,
    validate=validate_resource_slice,
    validate_update=immutability.validate_resource_slice_update,
    prepare_create=cluster.prepare_resource_slice,
    counts_generation=True,
    warnings=extensions_warnings.resource_slice_warnings,
)

RESOURCES = (
    DEVICE_CLASS,
    RESOURCE_CLAIM,
    RESOURCE_CLAIM_TEMPLATE,
    RESOURCE_SLICE,
)
