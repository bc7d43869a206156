"""Definitions of metrics.k8s.io, which are in no list of upstream's own kinds: its server is a project beside it."""

from typing import Any

from kajitori.api.meta import Object

GROUP = "metrics.k8s.io"
_META = "#/$defs/io.k8s.apimachinery.pkg.apis.meta.v1."
_QUANTITY = {"$ref": "#/$defs/io.k8s.apimachinery.pkg.api.resource.Quantity"}
_USAGE = {
    "description": "What was used over the window: cpu and memory.",
    "type": "object",
    "additionalProperties": _QUANTITY,
}
_HEAD = {
    "apiVersion": {"type": "string", "description": "The version of this object's schema."},
    "kind": {"type": "string", "description": "The name of this object's schema."},
}
_MEASURED = {
    **_HEAD,
    "metadata": {"description": "Name, namespace and labels of what was measured.", "$ref": f"{_META}ObjectMeta"},
    "timestamp": {"description": "When the window ended.", "$ref": f"{_META}Time"},
    "window": {"description": "Over how long it was measured, such as 10s.", "type": "string"},
}


def definition_name_of(version: str, kind: str) -> str:
    return f"io.k8s.metrics.pkg.apis.metrics.{version}.{kind}"


def _kind(kind: str, description: str, properties: dict[str, Any], required: list[str]) -> Object:
    return {
        "description": description,
        "type": "object",
        "properties": properties,
        "required": required,
        "x-kubernetes-group-version-kind": [{"group": GROUP, "version": "v1beta1", "kind": kind}],
    }


def _list(kind: str) -> Object:
    items = {"type": "array", "items": {"$ref": f"#/$defs/{definition_name_of('v1beta1', kind)}"}}
    properties = {
        **_HEAD,
        "items": {"description": "What was measured.", **items},
        "metadata": {"description": "Standard list metadata.", "$ref": f"{_META}ListMeta"},
    }
    return _kind(f"{kind}List", f"{kind}List is a list of {kind}.", properties, ["items"])


def definitions() -> dict[str, Object]:
    container = definition_name_of("v1beta1", "ContainerMetrics")
    containers = {
        "description": "What each container used.",
        "type": "array",
        "items": {"$ref": f"#/$defs/{container}"},
        "x-kubernetes-patch-merge-key": "name",
        "x-kubernetes-patch-strategy": "merge",
    }
    name = {"type": "string", "description": "The container's name, as the pod has it."}
    measured = ["timestamp", "window"]
    kinds = {
        "NodeMetrics": ("What a node uses.", {**_MEASURED, "usage": _USAGE}, [*measured, "usage"]),
        "PodMetrics": ("What a pod uses.", {**_MEASURED, "containers": containers}, [*measured, "containers"]),
    }
    found = {definition_name_of("v1beta1", kind): _kind(kind, *rest) for kind, rest in kinds.items()}
    found |= {definition_name_of("v1beta1", f"{kind}List"): _list(kind) for kind in kinds}
    found[container] = {
        "description": "What a container uses.",
        "type": "object",
        "properties": {"name": name, "usage": _USAGE},
        "required": ["name", "usage"],
    }
    return found
