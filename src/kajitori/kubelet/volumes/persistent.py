"""From a claim to the directory that its volume is (hostPath and local volumes)."""

from pathlib import Path

from kajitori.api.core import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM
from kajitori.api.meta import Object, annotations_of, namespace_of, uid_of
from kajitori.kit.numbers import unsigned
from kajitori.kubelet.volumes.payload import MissingPart
from kajitori.kubelet.volumes.sources import ObjectSource

GROUP_ANNOTATION = "pv.beta.kubernetes.io/gid"


def claim_name(pod: Object, volume: Object) -> str:
    """An ephemeral volume's claim is named for the pod and the volume."""
    if "ephemeral" in volume:
        return f"{pod['metadata']['name']}-{volume['name']}"
    return str(volume["persistentVolumeClaim"]["claimName"])


async def persistent_volume(pod: Object, volume: Object, source: ObjectSource) -> Object:
    """Raises MissingPart while the claim or its volume is not there or not bound."""
    namespace, name = namespace_of(pod), claim_name(pod, volume)
    claim = await source.get(uid_of(pod), PERSISTENT_VOLUME_CLAIM, namespace, name)
    if claim is None:
        raise MissingPart(f'persistentvolumeclaim "{name}" not found')
    bound_to = claim["spec"].get("volumeName")
    if not bound_to or (claim.get("status") or {}).get("phase") != "Bound":
        raise MissingPart(f"PVC {namespace}/{name} is not bound")
    found = await source.get(uid_of(pod), PERSISTENT_VOLUME, "", bound_to)
    if found is None:
        raise MissingPart(f'persistentvolume "{bound_to}" not found')
    reference = found["spec"].get("claimRef") or {}
    if reference.get("uid") != uid_of(claim):
        raise MissingPart(f"persistentvolume {bound_to} is bound to another claim than {namespace}/{name}")
    return found


def directory_of(volume: Object) -> tuple[Path, str]:
    """Path and hostPath type of a PersistentVolume on this node."""
    spec = volume["spec"]
    if (host := spec.get("hostPath")) is not None:
        return Path(host["path"]), host.get("type") or ""
    if (local := spec.get("local")) is not None:
        return Path(local["path"]), "Directory"
    kinds = sorted(set(spec) - {"capacity", "accessModes", "claimRef", "persistentVolumeReclaimPolicy"})
    raise MissingPart(f"this node mounts hostPath and local volumes only, not one with {', '.join(kinds)}")


def supplemental_group(volume: Object) -> int | None:
    return unsigned(annotations_of(volume).get(GROUP_ANNOTATION, ""), 2**31 - 1)
