"""Labels and annotations by which a sandbox or container in the runtime is known to belong to a pod.

The `io.kubernetes.*` names are upstream's, so that crictl and other tools understand them too.
"""

POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
POD_UID = "io.kubernetes.pod.uid"
CONTAINER_NAME = "io.kubernetes.container.name"

CONTAINER_HASH = "io.kubernetes.container.hash"
RESTART_COUNT = "io.kubernetes.container.restartCount"
TERMINATION_PATH = "io.kubernetes.container.terminationMessagePath"
TERMINATION_POLICY = "io.kubernetes.container.terminationMessagePolicy"
POD_GRACE_PERIOD = "io.kubernetes.pod.terminationGracePeriod"
TERMINATION_HOST_PATH = "io.kajitori.container.terminationMessageHostPath"
CONTAINER_RESOURCES = "io.kajitori.container.resources"
"""On a container: the CPU and memory it was made with."""
CONTAINER_KIND = "io.kajitori.container.kind"
POD_MANIFEST = "io.kajitori.pod.manifest"
"""On a sandbox: what is needed to stop the pod cleanly should the API no longer know it."""
