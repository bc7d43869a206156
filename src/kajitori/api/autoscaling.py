"""The kinds of autoscaling."""

from kajitori.api.resource import Resource, Subresource

HORIZONTAL_POD_AUTOSCALER = Resource(
    group="autoscaling",
    version="v2",
    kind="HorizontalPodAutoscaler",
    plural="horizontalpodautoscalers",
    short_names=("hpa",),
    categories=("all",),
    subresources=(Subresource(name="status", verbs=("get", "patch", "update")),),
    definition="io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
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
)

RESOURCES = (
    HORIZONTAL_POD_AUTOSCALER,
    HORIZONTAL_POD_AUTOSCALER_V1,
)
