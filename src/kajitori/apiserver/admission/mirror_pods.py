"""Mirror pods: what a node runs of its own accord. They may name nothing that the API would have to give them.

Source: "Create static Pods", and the admission controllers reference, "NodeRestriction" and "ServiceAccount".
"""

from kajitori.api.meta import Object
from kajitori.api.pods import MIRROR
from kajitori.apiserver.authz.node_graph import targets_of_pod

_PLURALS = ("serviceaccounts", "secrets", "configmaps")
_VOLUMES = (
    ("csi", "csidrivers (via CSI volumes)"),
    ("glusterfs", "endpoints (via glusterFS volumes)"),
    ("persistentVolumeClaim", "persistentvolumeclaims"),
    ("ephemeral", "persistentvolumeclaims (via ephemeral volumes)"),
)
_PROJECTED = (
    ("serviceAccountToken", "serviceaccounts (via projected volumes)"),
    ("clusterTrustBundle", "clustertrustbundles"),
    ("podCertificate", "podcertificates"),
)


def is_mirror(pod: Object) -> bool:
    return MIRROR in (pod["metadata"].get("annotations") or {})


def names_secrets(pod: Object) -> bool:
    return any(plural == "secrets" for plural, _, _ in targets_of_pod(pod))


def kind_referenced(pod: Object) -> str:
    """The kind of object that a pod names, in the words of a refusal; empty when it names none."""
    named = {plural for plural, _, _ in targets_of_pod(pod)}
    for plural in _PLURALS:
        if plural in named:
            return plural
    spec = pod["spec"]
    if spec.get("resourceClaims"):
        return "resourceclaims"
    for volume in spec.get("volumes") or ():
        for field, words in _VOLUMES:
            if volume.get(field) is not None:
                return words
        for source in (volume.get("projected") or {}).get("sources") or ():
            for field, words in _PROJECTED:
                if source.get(field) is not None:
                    return words
    return ""
