"""Kubeconfig files, and the credentials a pod is given: where a server is and who one is to it.

The format is the API reference's `Config (v1)` of client configuration.
"""

import base64
import binascii
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kajitori.kit.files import replace_file


class KubeconfigError(Exception):
    """A kubeconfig that cannot be used; the message names the file, the reason and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterAccess:
    """A server's address and one identity. Certificates and keys are PEM; `token_file` is read again as it rotates."""

    server: str
    certificate_authority: bytes = b""
    client_certificate: bytes = b""
    client_key: bytes = field(default=b"", repr=False)
    token: str = field(default="", repr=False)
    token_file: str = ""
    tls_server_name: str = ""
    insecure_skip_tls_verify: bool = False
    namespace: str = "default"


def read_kubeconfig(path: Path, context: str = "") -> ClusterAccess:
    """What a context of the file (the current one by default) says. Raises KubeconfigError."""
    document = _load(path)
    chosen = context or document.get("current-context") or ""
    if not chosen:
        raise KubeconfigError(f"{path}: no current-context is set; run `kubectl config use-context NAME`")
    named = _named(path, document, "contexts", "context", chosen)
    cluster = _named(path, document, "clusters", "cluster", named.get("cluster", ""))
    user = _named(path, document, "users", "user", named.get("user", "")) if named.get("user") else {}
    if not cluster.get("server"):
        raise KubeconfigError(f"{path}: cluster {named['cluster']!r} has no server; add its URL")
    if "exec" in user or "auth-provider" in user:
        raise KubeconfigError(f"{path}: user {named['user']!r} needs a credential plugin; use a certificate or a token")
    return ClusterAccess(
        server=cluster["server"],
        certificate_authority=_bytes(path, cluster, "certificate-authority"),
        client_certificate=_bytes(path, user, "client-certificate"),
        client_key=_bytes(path, user, "client-key"),
        token=user.get("token") or "",
        token_file="" if user.get("token") else _beside(path, user.get("tokenFile") or ""),
        tls_server_name=cluster.get("tls-server-name") or "",
        insecure_skip_tls_verify=cluster.get("insecure-skip-tls-verify") == "true",
        namespace=named.get("namespace") or "default",
    )


def write_kubeconfig(path: Path, access: ClusterAccess, *, cluster: str = "kajitori", user: str = "admin") -> None:
    """Write a file with one context, `user@cluster`; only its owner may read it, and a reader never sees half of it."""
    where: dict[str, Any] = {"server": access.server}
    if access.certificate_authority:
        where["certificate-authority-data"] = _encoded(access.certificate_authority)
    if access.tls_server_name:
        where["tls-server-name"] = access.tls_server_name
    if access.insecure_skip_tls_verify:
        where["insecure-skip-tls-verify"] = True
    who: dict[str, Any] = {}
    if access.client_certificate:
        who["client-certificate-data"] = _encoded(access.client_certificate)
        who["client-key-data"] = _encoded(access.client_key)
    if access.token:
        who["token"] = access.token
    if access.token_file:
        who["tokenFile"] = access.token_file
    context = {"cluster": cluster, "user": user}
    if access.namespace != "default":
        context["namespace"] = access.namespace
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": cluster, "cluster": where}],
        "users": [{"name": user, "user": who}],
        "contexts": [{"name": f"{user}@{cluster}", "context": context}],
        "current-context": f"{user}@{cluster}",
    }
    replace_file(path, yaml.safe_dump(document, sort_keys=False).encode())


def _load(path: Path) -> dict[str, Any]:
    # The base loader keeps every scalar a string: a token of digits stays what it is.
    try:
        document = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))
    except OSError as error:
        raise KubeconfigError(f"{path}: {error.strerror}; is the cluster up, and may this user read it?") from error
    except yaml.YAMLError as error:
        raise KubeconfigError(f"{path}: not YAML: {error}") from error
    if not isinstance(document, dict):
        raise KubeconfigError(f"{path}: not a kubeconfig: the document is no mapping")
    return document


def _named(path: Path, document: dict[str, Any], section: str, kind: str, name: str) -> dict[str, Any]:
    for entry in document.get(section) or ():
        if entry.get("name") == name:
            return entry.get(kind) or {}
    raise KubeconfigError(f"{path}: there is no {kind} named {name!r}")


def _bytes(path: Path, entry: dict[str, Any], name: str) -> bytes:
    """`<name>-data` wins over the file `<name>`, as in kubectl."""
    if data := entry.get(f"{name}-data"):
        try:
            return base64.b64decode(data, validate=True)
        except binascii.Error as error:
            raise KubeconfigError(f"{path}: {name}-data is not base64: {error}") from error
    return _read(path, Path(_beside(path, entry[name]))) if entry.get(name) else b""


def _beside(path: Path, file: str) -> str:
    """A relative path is relative to the kubeconfig's folder."""
    return str(path.parent / file) if file else ""


def _read(path: Path, file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise KubeconfigError(f"{path}: cannot read {file}: {error.strerror}") from error


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()
