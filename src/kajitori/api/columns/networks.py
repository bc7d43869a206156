"""How services, endpoints, ingresses and addresses show."""

from kajitori.api.columns.cells import (
    AGE,
    NAME,
    NONE,
    UNKNOWN,
    UNSET,
    addresses,
    at,
    column,
    first_few,
    joined,
    labels,
    selector,
)
from kajitori.api.meta import Object
from kajitori.api.resource import Column


def _external_ip(service: Object) -> str:
    external = at(service, "spec.externalIPs", [])
    match at(service, "spec.type"):
        case "ClusterIP" | "NodePort":
            return joined(external)
        case "LoadBalancer":
            balancer = addresses(at(service, "status.loadBalancer.ingress"))
            return joined([*([balancer] if balancer else []), *external], empty="<pending>")
        case "ExternalName":
            return str(at(service, "spec.externalName", ""))
    return UNKNOWN


def _service_port(port: Object) -> str:
    node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('port')}{node_port}/{port.get('protocol')}"


def _cluster_ip(service: Object) -> str:
    given = at(service, "spec.clusterIPs", ())
    return str(given[0]) if given else at(service, "spec.clusterIP") or NONE


SERVICE = (
    NAME,
    column("Type", "spec.type"),
    column("Cluster-IP", _cluster_ip),
    column("External-IP", _external_ip),
    column("Port(s)", lambda obj: joined(map(_service_port, at(obj, "spec.ports", ())))),
    AGE,
    column("Selector", lambda obj: labels(at(obj, "spec.selector")), wide=True),
)


def _host_port(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def _endpoints(endpoints: Object) -> str:
    found = []
    for subset in endpoints.get("subsets") or ():
        ips = [address.get("ip", "") for address in subset.get("addresses") or ()]
        if ports := subset.get("ports"):
            found += [_host_port(ip, port.get("port", 0)) for port in ports for ip in ips]
        else:
            found += ips
    return first_few(found) if endpoints.get("subsets") else NONE


ENDPOINTS = (NAME, column("Endpoints", _endpoints), AGE)


def _slice_port(port: Object) -> str:
    if port.get("port") is not None:
        return str(port["port"])
    return "*" if port.get("name") is None else str(port["name"])


def _slice_addresses(endpoint_slice: Object) -> str:
    found = [a for endpoint in endpoint_slice.get("endpoints") or () for a in endpoint.get("addresses") or ()]
    return first_few(found, empty=UNSET)


ENDPOINT_SLICE = (
    NAME,
    column("AddressType", "addressType"),
    column("Ports", lambda obj: first_few([_slice_port(p) for p in obj.get("ports") or ()], empty="") or UNSET),
    column("Endpoints", _slice_addresses),
    AGE,
)


def _hosts(ingress: Object) -> str:
    hosts = [rule["host"] for rule in at(ingress, "spec.rules", ()) if rule.get("host")]
    return first_few(hosts, empty="*")


INGRESS = (
    NAME,
    column("Class", "spec.ingressClassName", default=NONE),
    column("Hosts", _hosts),
    column("Address", lambda obj: addresses(at(obj, "status.loadBalancer.ingress"))),
    column("Ports", lambda obj: "80, 443" if at(obj, "spec.tls") else "80"),
    AGE,
)


def _parameters(ingress_class: Object) -> str:
    parameters = at(ingress_class, "spec.parameters")
    if parameters is None:
        return NONE
    group = f".{parameters['apiGroup']}" if parameters.get("apiGroup") else ""
    return f"{parameters.get('kind')}{group}/{parameters.get('name')}"


_DEFAULT_CLASS = "ingressclass.kubernetes.io/is-default-class"


def _class_name(ingress_class: Object) -> str:
    metadata = ingress_class["metadata"]
    chosen = (metadata.get("annotations") or {}).get(_DEFAULT_CLASS) == "true"
    return f"{metadata.get('name', '')} (default)" if chosen else str(metadata.get("name", ""))


INGRESS_CLASS = (
    Column(name="Name", cell=lambda obj, _: _class_name(obj), format="name"),
    column("Controller", "spec.controller"),
    column("Parameters", _parameters),
    AGE,
)

NETWORK_POLICY = (NAME, column("Pod-Selector", lambda obj: selector(at(obj, "spec.podSelector"))), AGE)


def _parent(address: Object) -> str:
    parent = at(address, "spec.parentRef")
    if parent is None:
        return NONE
    group = f".{parent['group']}" if parent.get("group") else ""
    parts = [f"{parent.get('resource', '')}{group}", parent.get("namespace"), parent.get("name")]
    return "/".join(part for part in parts if part)


IP_ADDRESS = (NAME, column("ParentRef", _parent))
SERVICE_CIDR = (NAME, column("CIDRs", lambda obj: ",".join(at(obj, "spec.cidrs", ()))), AGE)
