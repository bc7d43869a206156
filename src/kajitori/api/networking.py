"""The kinds of networking.k8s.io."""

from kajitori.api.columns import networks as networks_columns
from kajitori.api.defaults import networks
from kajitori.api.defaults.status import begin_with, keep_status
from kajitori.api.resource import Resource, Subresource
from kajitori.api.validation import networks as networks_validation
from kajitori.api.validation import statuses
from kajitori.api.warnings import networks as networks_warnings

INGRESS_CLASS = Resource(
    group="networking.k8s.io",
    version="v1",
    kind="IngressClass",
    plural="ingressclasses",
    namespaced=False,
    definition="io.k8s.api.networking.v1.IngressClass",
    columns=networks_columns.INGRESS_CLASS,
    default=networks.default_ingress_class,
    validate=networks_validation.validate_ingress_class,
    validate_update=networks_validation.validate_ingress_class_update,
    counts_generation=True,
)

INGRESS = Resource(
    group="networking.k8s.io",
    version="v1",
    kind="Ingress",
    plural="ingresses",
    short_names=("ing",),
    subresources=(
        Subresource(name="status", verbs=("get", "patch", "update"), validate_update=statuses.validate_ingress_status),
    ),
    definition="io.k8s.api.networking.v1.Ingress",
    columns=networks_columns.INGRESS,
    validate=networks_validation.validate_ingress,
    prepare_create=begin_with({"loadBalancer": {}}),
    prepare_update=keep_status,
    counts_generation=True,
    warnings=networks_warnings.ingress_warnings,
)

IP_ADDRESS = Resource(
    group="networking.k8s.io",
    version="v1",
    kind="IPAddress",
    plural="ipaddresses",
    namespaced=False,
    short_names=("ip",),
    definition="io.k8s.api.networking.v1.IPAddress",
    columns=networks_columns.IP_ADDRESS,
    validate=networks_validation.validate_ip_address,
    validate_update=networks_validation.validate_ip_address_update,
)

NETWORK_POLICY = Resource(
    group="networking.k8s.io",
    version="v1",
    kind="NetworkPolicy",
    plural="networkpolicies",
    short_names=("netpol",),
    definition="io.k8s.api.networking.v1.NetworkPolicy",
    columns=networks_columns.NETWORK_POLICY,
    default=networks.default_network_policy,
    validate=networks_validation.validate_network_policy,
    counts_generation=True,
    warnings=networks_warnings.network_policy_warnings,
)

SERVICE_CIDR = Resource(
    group="networking.k8s.io",
    version="v1",
    kind="ServiceCIDR",
    plural="servicecidrs",
    namespaced=False,
    subresources=(Subresource(name="status", verbs=("get", "patch", "update")),),
    definition="io.k8s.api.networking.v1.ServiceCIDR",
    columns=networks_columns.SERVICE_CIDR,
    validate=networks_validation.validate_service_cidr,
    revalidate=networks_validation.revalidate_service_cidr,
    prepare_create=begin_with({}),
    prepare_update=keep_status,
)

RESOURCES = (
    INGRESS_CLASS,
    INGRESS,
    IP_ADDRESS,
    NETWORK_POLICY,
    SERVICE_CIDR,
)
