"""The contract of local-path volumes: directories on one node, made for a claim and removed with its volume.

The provisioner (a control loop) makes a PersistentVolume of type hostPath on the node that the scheduler selected and
puts `CLEANUP_FINALIZER` on it. The node agent named by `NODE_ANNOTATION` watches for volumes that `awaits_cleanup` says
are its own: it removes the directory if `removes_data`, then takes the finalizer off. When the node itself has been
deleted, the provisioner takes it off.
"""

from kajitori.api.meta import Object, annotations_of, is_deleting

PROVISIONER = "kajitori.io/local-path"
CLEANUP_FINALIZER = "kajitori.io/local-path-cleanup"
NODE_ANNOTATION = "kajitori.io/local-path-node"
"""Name of the node that holds the directory."""

PROVISIONED_BY_ANNOTATION = "pv.kubernetes.io/provisioned-by"
SELECTED_NODE_ANNOTATION = "volume.kubernetes.io/selected-node"


def directory(volumes_dir: str, volume_name: str) -> str:
    return f"{volumes_dir.rstrip('/')}/{volume_name}"


def is_local_path(volume: Object) -> bool:
    return annotations_of(volume).get(PROVISIONED_BY_ANNOTATION) == PROVISIONER


def path_of(volume: Object) -> str:
    return str((volume["spec"].get("hostPath") or {}).get("path") or "")


def node_of(volume: Object) -> str:
    return annotations_of(volume).get(NODE_ANNOTATION, "")


def awaits_cleanup(volume: Object, node_name: str) -> bool:
    """Whether this node must act. A volume that a claim still protects has other finalizers: wait for those."""
    return (
        is_local_path(volume)
        and is_deleting(volume)
        and list(volume["metadata"].get("finalizers") or ()) == [CLEANUP_FINALIZER]
        and node_of(volume) == node_name
    )


def removes_data(volume: Object) -> bool:
    """With reclaim policy Retain the directory outlives its volume."""
    return bool(volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete")
