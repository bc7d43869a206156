"""The kinds of apiextensions.k8s.io."""

from kajitori.api.columns.cells import WITHOUT_OWN_COLUMNS
from kajitori.api.defaults import extensions
from kajitori.api.resource import Resource, Subresource
from kajitori.api.validation import custom_resources as custom_resources_validation
from kajitori.api.warnings import extensions as extensions_warnings

CUSTOM_RESOURCE_DEFINITION = Resource(
    group="apiextensions.k8s.io",
    version="v1",
    kind="CustomResourceDefinition",
    plural="customresourcedefinitions",
    namespaced=False,
    short_names=("crd", "crds"),
    categories=("api-extensions",),
    subresources=(
        Subresource(
            name="status",
            verbs=("get", "patch", "update"),
            validate_update=custom_resources_validation.validate_definition_status,
        ),
    ),
    definition="io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
    columns=WITHOUT_OWN_COLUMNS,
    default=extensions.default_custom_resource_definition,
    validate=custom_resources_validation.validate_definition,
    revalidate=custom_resources_validation.revalidate_definition,
    validate_update=custom_resources_validation.validate_definition_update,
    prepare_create=extensions.prepare_custom_resource_definition,
    prepare_update=extensions.prepare_custom_resource_definition_update,
    begin_deletion=extensions.begin_definition_deletion,
    counts_generation=True,
    warnings=extensions_warnings.definition_warnings,
)

RESOURCES = (CUSTOM_RESOURCE_DEFINITION,)
