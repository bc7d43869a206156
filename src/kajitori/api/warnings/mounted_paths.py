"""Files of one volume that would lie where another file of it lies, or inside it."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from kajitori.api.meta import Object


class _File(NamedTuple):
    path: str
    source: str = ""

    def __str__(self) -> str:
        return f'"{self.path}" ({self.source})' if self.source else f'"{self.path}"'


def overlapping_paths(volumes: Iterable[Object]) -> Iterator[str]:
    for volume in volumes:
        name = volume.get("name", "")
        for kind, described in (
            ("configMap", 'ConfigMap "{name}"'),
            ("secret", 'Secret "{secretName}"'),
            ("downwardAPI", "DownwardAPI"),
        ):
            source = volume.get(kind)
            if source and source.get("items"):
                files = [_File(item.get("path") or "") for item in source["items"]]
                what = described.format(name=source.get("name") or "", secretName=source.get("secretName") or "")
                for overlap in _overlaps(files):
                    yield f'volume "{name}" ({what}): overlapping paths: {overlap}'
        if projected := volume.get("projected"):
            yield from _of_projected(name, projected.get("sources") or ())


def _of_projected(name: str, sources: Iterable[Object]) -> Iterator[str]:
    files: list[_File] = []
    for source in sources:
        if not source:
            yield f'volume "{name}" (Projected) has no sources provided'
        files += _files_of(source)
    for overlap in _overlaps(files):
        yield f'volume "{name}" (Projected): overlapping paths: {overlap}'


def _files_of(source: Object) -> list[_File]:
    for kind, what in (("configMap", 'ConfigMap "{}"'), ("secret", 'Secret "{}"'), ("downwardAPI", "DownwardAPI")):
        if found := source.get(kind):
            described = what.format(found.get("name") or "")
            return [_File(item.get("path") or "", described) for item in found.get("items") or ()]
    if token := source.get("serviceAccountToken"):
        return [_File(token.get("path") or "", "ServiceAccountToken")]
    if bundle := source.get("clusterTrustBundle"):
        described = f'ClusterTrustBundle "{bundle.get("name") or bundle.get("signerName") or ""}"'
        return [_File(bundle.get("path") or "", described)]
    certificate = source.get("podCertificate") or {}
    return [
        _File(certificate[field], f"PodCertificate {what}")
        for field, what in (
            ("certificateChainPath", "chain"),
            ("keyPath", "key"),
            ("credentialBundlePath", "credential bundle"),
        )
        if certificate.get(field)
    ]


def _overlaps(files: Iterable[_File]) -> Iterator[str]:
    seen: list[_File] = []
    for file in files:
        path = file.path.rstrip("/")
        here = _File(path, file.source)
        for other in seen:
            inside = f"{path}/".startswith(f"{other.path}/") or f"{other.path}/".startswith(f"{path}/")
            if path and other.path and inside:
                yield f"{here} with {other}"
        seen.append(here)
