"""Who may use the node's API: the API server, and administrators of the cluster; known by their client certificates."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

API_SERVER = "kube-apiserver-kubelet-client"
MASTERS = "system:masters"


def server_context(certificate: Path, key: Path, client_ca: Path) -> ssl.SSLContext:
    """TLS that demands a client certificate of the cluster's authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(client_ca)
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["http/1.1"])
    return context


def may_use(certificate: Mapping[str, Any] | None) -> bool:
    """`certificate` as `getpeercert` gives it, verified already."""
    subject = [pair for part in (certificate or {}).get("subject") or () for pair in part]
    return ("organizationName", MASTERS) in subject or ("commonName", API_SERVER) in subject
