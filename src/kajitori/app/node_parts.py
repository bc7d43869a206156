"""Values of a node's parts, from the layout: equal for the process that runs them and the one that removes them."""

from kajitori.app.doctor import CNI_FOLDERS, cni_folder
from kajitori.app.layout import Layout
from kajitori.app.prepare import kubelet_serving
from kajitori.app.record import ClusterRecord, node_address
from kajitori.kit.clock import Clock
from kajitori.kubelet.config import KubeletConfig
from kajitori.kubelet.containerd_config import ContainerdConfig
from kajitori.network.cni import PodNetworkConfig
from kajitori.network.ingress.controller import IngressConfig
from kajitori.network.ingress.envoy import Envoy, EnvoyConfig
from kajitori.network.ingress.listeners import ListenConfig


def containerd_config(layout: Layout, node: str) -> ContainerdConfig:
    paths = layout.node(node)
    return ContainerdConfig(
        root=paths.root / "containerd",
        state=paths.runtime,
        cni_conf_dir=paths.root / "cni",
        cni_bin_dir=cni_folder() or CNI_FOLDERS[0],
    )


def kubelet_config(layout: Layout, node: str) -> KubeletConfig:
    stem = kubelet_serving(layout, node)
    return KubeletConfig(
        node_name=node,
        node_ip=node_address(node),
        root_dir=layout.node(node).root / "kubelet",
        containerd=containerd_config(layout, node),
        serving_certificate=stem.with_name(f"{stem.name}.crt"),
        serving_key=stem.with_name(f"{stem.name}.key"),
        client_ca=layout.pki / "ca.crt",
        listen_address=node_address(node),
    )


def pod_network_config(layout: Layout, node: str) -> PodNetworkConfig:
    paths = layout.node(node)
    return PodNetworkConfig(node, conf_dir=paths.root / "cni", ipam_dir=paths.root / "ipam")


def ingress_config(layout: Layout, record: ClusterRecord, node: str) -> IngressConfig:
    return IngressConfig(
        layout.node(node).root / "ingress",
        ListenConfig(http_port=record.http_port, https_port=record.https_port),
        status_addresses=(node_address(node),),
        node_name=node,
    )


def envoy(layout: Layout, record: ClusterRecord, node: str, clock: Clock) -> Envoy:
    """The Envoy of a node's Ingress, to look for or to end."""
    ingress = ingress_config(layout, record, node)
    return Envoy(EnvoyConfig(ingress.directory, ingress.listen, node_name=node), clock)
