"""Handing resources to Envoy: one file each, replaced by renaming, which is what Envoy watches for.

Order matters: what is referred to is written before what refers to it, and goes only after nothing does. So a change
never sends a request to a cluster that Envoy does not know.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from kajitori.kit.files import replace_file
from kajitori.network.ingress.certificates import certificate_resource
from kajitori.network.ingress.clusters import EDS_DIRECTORY, file_name
from kajitori.network.ingress.config import EnvoyResources
from kajitori.network.ingress.listeners import CERTIFICATES_DIRECTORY, FALLBACK_CERTIFICATE, ROUTES_FILE

Resource = dict[str, Any]

CLUSTERS_FILE = "clusters.json"
LISTENERS_FILE = "listeners.json"


class ResourceFiles:
    """The directory that Envoy reads. Only root may: it holds private keys."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._written: dict[str, str] = {}
        self._clusters: dict[str, Resource] = {}

    def prepare(self, make_fallback: Callable[[], tuple[bytes, bytes]]) -> None:
        """Make the directories and the certificate for names without one. What an earlier process wrote stays."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o700)
        for name in (EDS_DIRECTORY, CERTIFICATES_DIRECTORY):
            (self.directory / name).mkdir(exist_ok=True)
        path = self.directory / CERTIFICATES_DIRECTORY / f"{FALLBACK_CERTIFICATE}.json"
        if not path.exists():
            self._write(
                f"{CERTIFICATES_DIRECTORY}/{path.name}", [certificate_resource(FALLBACK_CERTIFICATE, *make_fallback())]
            )

    def write(self, resources: EnvoyResources) -> bool:
        """Write what changed, keeping clusters that are no longer wanted; returns whether `prune` has work to do."""
        for name, endpoints in resources.endpoints.items():
            self._write(f"{EDS_DIRECTORY}/{file_name(name)}", [endpoints])
        for name, certificate in resources.certificates.items():
            self._write(f"{CERTIFICATES_DIRECTORY}/{name}.json", [certificate])
        both = {**self._clusters, **resources.clusters}
        self._write(CLUSTERS_FILE, both.values())
        self._write(ROUTES_FILE, [resources.routes])
        self._write(LISTENERS_FILE, resources.listeners)
        self._clusters = both
        certificates = {Path(name).name for name in self._written if name.startswith(CERTIFICATES_DIRECTORY)}
        return both.keys() != resources.clusters.keys() or bool(certificates - _certificate_files(resources))

    def prune(self, resources: EnvoyResources) -> None:
        """Drop what nothing refers to any more. Call it once Envoy has taken in the last `write`."""
        self._write(CLUSTERS_FILE, resources.clusters.values())
        self._clusters = dict(resources.clusters)
        kept = {file_name(name) for name in resources.endpoints}
        self._remove_others(EDS_DIRECTORY, kept)
        self._remove_others(CERTIFICATES_DIRECTORY, _certificate_files(resources))

    def _remove_others(self, directory: str, kept: set[str]) -> None:
        for path in (self.directory / directory).iterdir():
            if path.name not in kept:
                path.unlink()
                self._written.pop(f"{directory}/{path.name}", None)

    def _write(self, name: str, resources: Iterable[Mapping[str, Any]]) -> None:
        document: Resource = {"resources": list(resources)}
        text = json.dumps(document, sort_keys=True)
        if self._written.get(name) == text:
            return
        document["version_info"] = hashlib.sha256(text.encode()).hexdigest()[:12]
        path = self.directory / name
        content = json.dumps(document, sort_keys=True)
        if not path.exists() or path.read_text() != content:
            replace_file(path, content.encode())
        self._written[name] = text


def _certificate_files(resources: EnvoyResources) -> set[str]:
    return {f"{name}.json" for name in (*resources.certificates, FALLBACK_CERTIFICATE)}
