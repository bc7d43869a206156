"""The role of the nodes that share their machine with the control plane, for `kubectl get nodes` to show.

A node may not give itself one (NodeRestriction). They are never tainted: one machine is the whole cluster.
"""

from collections.abc import Iterable

from kajitori.api.core import NODE
from kajitori.api.meta import ObjectKey, labels_of
from kajitori.controllers.context import Context
from kajitori.controllers.controller import Controller, Source, own

CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"


class NodeRoleController(Controller):
    """Labels a node when it is first seen; whoever takes the label off again has the last word."""

    name = "node-role-controller"
    workers = 1

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.nodes = context.informer(NODE)

    def sources(self) -> Iterable[Source]:
        return (own(NODE, changed=lambda new, old: False),)

    async def reconcile(self, key: ObjectKey) -> float | None:
        node = self.nodes.get(key)
        if (
            node
            and key.name in self.context.settings.control_plane_nodes
            and CONTROL_PLANE_LABEL not in labels_of(node)
        ):
            await self.writes.patch(NODE, node, {"metadata": {"labels": {CONTROL_PLANE_LABEL: ""}}})
        return None
