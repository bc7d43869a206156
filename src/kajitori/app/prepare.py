"""Certificates and kubeconfigs of a cluster: what its processes need to know each other, made before they start."""

import socket
from pathlib import Path

from kajitori.apiserver import pki
from kajitori.app.failure import about_file
from kajitori.app.layout import Layout
from kajitori.app.record import ClusterRecord, node_address
from kajitori.cli.interface import CommandError
from kajitori.client.kubeconfig import ClusterAccess, write_kubeconfig

SERVICE_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
)
SERVICE_ADDRESSES = ("10.96.0.1", "127.0.0.1", "::1")

CONTROL_PLANE, SCHEDULER = "control-plane", "scheduler"
PROXY, DNS, INGRESS = "proxy", "dns", "ingress"
SIMULATOR = "simulator"
# file name of the identity -> its user
_USERS = {
    CONTROL_PLANE: "system:kube-controller-manager",
    SCHEDULER: "system:kube-scheduler",
    PROXY: "system:kube-proxy",
    DNS: "system:kajitori:dns",
    INGRESS: "system:kajitori:ingress",
    SIMULATOR: "system:kajitori:simulator",
}


def prepare(layout: Layout, record: ClusterRecord, now_s: float) -> None:
    """Create what is missing and renew what expires. Raises CommandError."""
    try:
        _prepare(layout, record, now_s)
    except pki.PkiError as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(about_file(error, layout.root)) from error


def alternative_names(record: ClusterRecord) -> tuple[str, ...]:
    """Every name and address under which clients find the API server."""
    return tuple(dict.fromkeys((*SERVICE_NAMES, *SERVICE_ADDRESSES, record.api_address, socket.gethostname())))


def _prepare(layout: Layout, record: ClusterRecord, now_s: float) -> None:
    authority = pki.ensure(layout.pki, alternative_names(record), now_s).authority
    local = f"https://127.0.0.1:{record.port}"
    shared = f"https://{record.api_address}:{record.port}"
    identities = layout.pki / "identities"
    identities.mkdir(mode=0o700, exist_ok=True)

    def identity(name: str, user: str, groups: tuple[str, ...], server: str, path: Path) -> None:
        pair = pki.ensure_client(identities / name, authority, user, groups, now_s)
        access = ClusterAccess(
            server=server,
            certificate_authority=authority.certificate,
            client_certificate=pair.certificate,
            client_key=pair.key,
        )
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_kubeconfig(path, access, user=name)

    identity("admin", "kubernetes-admin", ("system:masters",), local, layout.kubeconfig)
    for name, user in _USERS.items():
        server = local if name in (CONTROL_PLANE, SCHEDULER, SIMULATOR) else shared
        identity(name, user, (), server, layout.identity(name))
    for node in record.node_names:
        identity(node, f"system:node:{node}", ("system:nodes",), shared, layout.identity(node))
        _kubelet_serving(layout, authority, node, now_s)


def kubelet_serving(layout: Layout, node: str) -> Path:
    """The stem of the certificate and key that a node's kubelet serves with."""
    return layout.pki / "kubelets" / node


def _kubelet_serving(layout: Layout, authority: pki.Pair, node: str, now_s: float) -> None:
    stem, sans = kubelet_serving(layout, node), (node, node_address(node))
    stem.parent.mkdir(mode=0o700, exist_ok=True)
    pki.ensure_pair(
        stem,
        authority,
        sans,
        now_s,
        lambda: pki.issue_serving(authority, f"system:node:{node}", sans, now_s, "system:nodes"),
    )
