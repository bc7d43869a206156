"""The kinds of rbac.authorization.k8s.io."""

from kajitori.api.defaults import cluster
from kajitori.api.resource import Resource

CLUSTER_ROLE_BINDING = Resource(
    group="rbac.authorization.k8s.io",
    version="v1",
    kind="ClusterRoleBinding",
    plural="clusterrolebindings",
    namespaced=False,
    definition="io.k8s.api.rbac.v1.ClusterRoleBinding",
    default=cluster.default_role_binding,
)

CLUSTER_ROLE = Resource(
    group="rbac.authorization.k8s.io",
    version="v1",
    kind="ClusterRole",
    plural="clusterroles",
    namespaced=False,
    definition="io.k8s.api.rbac.v1.ClusterRole",
)

ROLE_BINDING = Resource(
    group="rbac.authorization.k8s.io",
    version="v1",
    kind="RoleBinding",
    plural="rolebindings",
    definition="io.k8s.api.rbac.v1.RoleBinding",
    default=cluster.default_role_binding,
)

ROLE = Resource(
    group="rbac.authorization.k8s.io",
    version="v1",
    kind="Role",
    plural="roles",
    definition="io.k8s.api.rbac.v1.Role",
)

RESOURCES = (
    CLUSTER_ROLE_BINDING,
    CLUSTER_ROLE,
    ROLE_BINDING,
    ROLE,
)
