"""Ends what outlives a node agent: containerd, its containers, Envoy; and takes the host's network back."""

from kajitori.app.layout import Layout
from kajitori.app.node_parts import containerd_config, envoy, ingress_config, kubelet_config
from kajitori.app.record import ClusterRecord
from kajitori.kit.clock import SystemClock
from kajitori.kubelet.purge import halt_node, purge_node
from kajitori.network.removal import remove_all


async def stop_node(layout: Layout, record: ClusterRecord, node: str, *, purge: bool) -> None:
    """With `purge`, containers, images and mounts go too. May be run twice."""
    clock = SystemClock()
    if ingress_config(layout, record, node).directory.exists():
        await envoy(layout, record, node, clock).stop()
    containerd, kubelet = containerd_config(layout, node), kubelet_config(layout, node)
    if not purge:
        await halt_node(containerd, kubelet.cgroup, clock)
        return
    from kajitori.kubelet.cri_runtime import CriRuntime

    runtime = CriRuntime(str(containerd.socket)) if containerd.socket.exists() else None
    try:
        await purge_node(containerd, kubelet.cgroup, clock, runtime, (layout.node(node).root,))
    finally:
        if runtime is not None:
            await runtime.close()


async def remove_network() -> None:
    await remove_all()
