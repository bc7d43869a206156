"""The sandbox image as an OCI archive: one layer with one file."""

import gzip
import hashlib
import io
import json
import platform
import tarfile

from kajitori.kubelet.elf import pause_program

PAUSE_IMAGE = "docker.io/kajitori/pause:1"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def host_architecture() -> str:
    machine = platform.machine()
    return ARCHITECTURES.get(machine, machine)


def _tar(files: dict[str, bytes], mode: int = 0o644) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _descriptor(media_type: str, content: bytes) -> dict[str, object]:
    return {"mediaType": f"application/vnd.oci.image.{media_type}", "digest": _digest(content), "size": len(content)}


def pause_archive(architecture: str) -> bytes:
    """An OCI image layout in a tar, the same bytes every time, named so that containerd's import keeps the name."""
    layer = _tar({"pause": pause_program(architecture)}, mode=0o755)
    packed = gzip.compress(layer, mtime=0)
    config = _json(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Entrypoint": ["/pause"], "User": "65535:65535"},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": _descriptor("config.v1+json", config),
            "layers": [_descriptor("layer.v1.tar+gzip", packed)],
        }
    )
    named = _descriptor("manifest.v1+json", manifest) | {
        "annotations": {"io.containerd.image.name": PAUSE_IMAGE, "org.opencontainers.image.ref.name": PAUSE_IMAGE},
        "platform": {"architecture": architecture, "os": "linux"},
    }
    blobs = {f"blobs/sha256/{_digest(b).removeprefix('sha256:')}": b for b in (packed, config, manifest)}
    index = _json({"schemaVersion": 2, "manifests": [named]})
    return _tar({"oci-layout": _json({"imageLayoutVersion": "1.0.0"}), "index.json": index} | blobs)
