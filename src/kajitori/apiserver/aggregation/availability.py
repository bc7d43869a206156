"""Whether an APIService can be used: the condition `Available` with upstream's reasons. Pure.

Source: the API reference of apiregistration.k8s.io/v1, "APIServiceCondition".
"""

from collections.abc import Iterable

from kajitori.api.meta import Object

PASSED: Object = {"type": "Available", "status": "True", "reason": "Passed", "message": "all checks passed"}
LOCAL: Object = {
    "type": "Available",
    "status": "True",
    "reason": "Local",
    "message": "Local APIServices are always available",
}


def unavailable(reason: str, message: str) -> Object:
    return {"type": "Available", "status": "False", "reason": reason, "message": message}


def missing_parts(reference: Object, service: Object | None, slices: Iterable[Object]) -> Object | None:
    """The condition while the way to the server is not there; None when it is worth asking. `slices` are the
    EndpointSlices of the service."""
    namespace, name, number = reference["namespace"], reference["name"], reference.get("port") or 443
    shown = f'service/{name} in "{namespace}"'
    if service is None:
        return unavailable("ServiceNotFound", f"{shown} is not present")
    if (service["spec"].get("type") or "ClusterIP") != "ClusterIP":
        return None
    ports = [port for port in service["spec"].get("ports") or () if port["port"] == number]
    if not ports:
        return unavailable("ServicePortError", f"{shown} is not listening on port {number}")
    found = list(slices)
    if not found:
        return unavailable("EndpointsNotFound", f"cannot find endpointslices for {shown}")
    port_name = ports[0].get("name") or ""
    if not any(_has_ready(each, port_name) for each in found):
        message = f'endpointslices for {shown} have no addresses with port name "{port_name}"'
        return unavailable("MissingEndpoints", message)
    return None


def _has_ready(endpoint_slice: Object, port_name: str) -> bool:
    ready = (
        (endpoint.get("conditions") or {}).get("ready") is not False
        for endpoint in endpoint_slice.get("endpoints") or ()
    )
    ports = ((p.get("name") or "") == port_name and p.get("port") for p in endpoint_slice.get("ports") or ())
    return any(ready) and any(ports)
