"""The kinds of autoscaling."""

from kajitori.api.columns import workloads as workloads_columns
from kajitori.api.conversions.autoscaling import from_v2, to_v2
from kajitori.api.defaults import scaling
from kajitori.api.defaults.status import keep_status
from kajitori.api.resource import Resource, Subresource
from kajitori.api.validation import scaling as scaling_validation
from kajitori.api.validation import statuses

HORIZONTAL_POD_AUTOSCALER = Resource(
    group="autoscaling",
    version="v2",
    kind="HorizontalPodAutoscaler",
    plural="horizontalpodautoscalers",
    short_names=("hpa",),
    categories=("all",),
    subresources=(
        Subresource(
            name="status", verbs=("get", "patch", "update"), validate_update=statuses.validate_autoscaler_status
        ),
    ),
    definition="io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
    columns=workloads_columns.AUTOSCALER,
    default=scaling.default_autoscaler,
    validate=scaling_validation.validate_autoscaler,
    revalidate=scaling_validation.revalidate_autoscaler,
    prepare_create=scaling.prepare_autoscaler,
    prepare_update=keep_status,
)

HORIZONTAL_POD_AUTOSCALER_V1 = Resource(
    group="autoscaling",
    version="v1",
    kind="HorizontalPodAutoscaler",
    plural="horizontalpodautoscalers",
    short_names=("hpa",),
    categories=("all",),
    subresources=(Subresource(name="status", verbs=("get", "patch", "update")),),
    definition="io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler",
    columns=workloads_columns.AUTOSCALER_V1,
    default=scaling.default_autoscaler_v1,
    validate=scaling_validation.validate_autoscaler_v1,
    revalidate=scaling_validation.revalidate_autoscaler_v1,
    prepare_create=scaling.prepare_autoscaler_v1,
    prepare_update=keep_status,
    stored_as=HORIZONTAL_POD_AUTOSCALER,
    to_stored=to_v2,
    from_stored=from_v2,
)

RESOURCES = (
    HORIZONTAL_POD_AUTOSCALER,
    HORIZONTAL_POD_AUTOSCALER_V1,
)
