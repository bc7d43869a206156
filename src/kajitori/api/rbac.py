"""The kinds of rbac.authorization.k8s.io."""

from kajitori.api.columns import cluster as cluster_columns
from kajitori.api.columns.cells import WITHOUT_OWN_COLUMNS
from kajitori.api.defaults import cluster
from kajitori.api.resource import Resource
from kajitori.api.validation import authorization as authorization_validation
from kajitori.api.validation import immutability

CLUSTER_ROLE_BINDING = Resource(
    group="rbac.authorization.k8s.io",
    version="v1",
    kind="ClusterRoleBinding",
    plural="clusterrolebindings",
    namespaced=False,
    definition="io.k8s.api.rbac.v1.ClusterRoleBinding",
    columns=cluster_columns.ROLE_BINDING,
    default=cluster.default_role_binding,
    validate=authorization_validation.validate_cluster_role_binding,
    validate_update=immutability.validate_binding_update,
)

CLUSTER_ROLE = Resource(
    group="rbac.authorization.k8s.io",
    version="v1",
    kind="ClusterRole",
    plural="clusterroles",
    namespaced=False,
    definition="io.k8s.api.rbac.v1.ClusterRole",
    columns=WITHOUT_OWN_COLUMNS,
    validate=authorization_validation.validate_cluster_role,
)

ROLE_BINDING = Resource(
    group="rbac.authorization.k8s.io",
    version="v1",
    kind="RoleBinding",
    plural="rolebindings",
    definition="io.k8s.api.rbac.v1.RoleBinding",
    columns=cluster_columns.ROLE_BINDING,
    default=cluster.default_role_binding,
    validate=authorization_validation.validate_role_binding,
    validate_update=immutability.validate_binding_update,
)

ROLE = Resource(
    group="rbac.authorization.k8s.io",
    version="v1",
    kind="Role",
    plural="roles",
    definition="io.k8s.api.rbac.v1.Role",
    columns=WITHOUT_OWN_COLUMNS,
    validate=authorization_validation.validate_role,
)

RESOURCES = (
    CLUSTER_ROLE_BINDING,
    CLUSTER_ROLE,
    ROLE_BINDING,
    ROLE,
)
