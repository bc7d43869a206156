"""NodeRestriction of token requests: a node gets tokens for the pods bound to it, for audiences that these name.

Source: the admission controllers reference, "NodeRestriction"; KEP-4412 for audiences.
"""

from collections.abc import Iterator

from kajitori.api import core
from kajitori.api.errors import Forbidden
from kajitori.api.meta import Object, name_of, uid_of
from kajitori.api.storage import CSI_DRIVER
from kajitori.apiserver.authz.node import node_of
from kajitori.apiserver.http_types import RequestContext
from kajitori.apiserver.interfaces import Attributes, Authorizer, Objects, Verdict, decided

ANOTHER_UID = (
    "the UID in the bound object reference ({}) does not match the UID in record. "
    "The object might have been deleted and then recreated"
)


class NodeTokens:
    def __init__(self, objects: Objects, authorizer: Authorizer) -> None:
        self._objects = objects
        self._authorizer = authorizer

    async def check(self, context: RequestContext, spec: Object) -> None:
        """Raise Forbidden for what a node may not ask for; whoever is no node may."""
        node = node_of(context.user)
        if not node:
            return
        reference = spec.get("boundObjectRef") or {}
        name, uid = reference.get("name"), reference.get("uid")
        if (reference.get("apiVersion"), reference.get("kind")) != ("v1", "Pod") or not name:
            raise _refusal(context, "node requested token not bound to a pod")
        if not uid:
            raise _refusal(context, "node requested token with a pod binding without a uid")
        pod = await self._objects.get(core.POD, name, context.namespace)
        if uid != uid_of(pod):
            raise _refusal(context, ANOTHER_UID.format(uid))
        if pod["spec"].get("nodeName") != node:
            raise _refusal(context, "node requested token bound to a pod scheduled on a different node")
        await self._check_audience(context, spec.get("audiences") or [""], pod)

    async def _check_audience(self, context: RequestContext, audiences: list[str], pod: Object) -> None:
        if len(audiences) > 1:
            raise _refusal(context, "node may only request 0 or 1 audiences")
        (audience,) = audiences
        if audience in self._audiences_of(pod):
            return
        verb = "request-serviceaccounts-token-audience"
        asked = Attributes(context.user, verb, "", "v1", audience, "", context.namespace, context.name)
        if audience and (await decided(self._authorizer, asked))[0] is Verdict.ALLOW:
            return
        why = f"{context.user.name} is not authorized to request tokens for this audience"
        raise _refusal(context, f'audience "{audience}" not found in pod spec volume, {why}')

    def _audiences_of(self, pod: Object) -> Iterator[str]:
        """What the volumes of a pod name: projected tokens, and what their drivers ask tokens for."""
        for volume in pod["spec"].get("volumes") or ():
            for source in (volume.get("projected") or {}).get("sources") or ():
                if source.get("serviceAccountToken"):
                    yield source["serviceAccountToken"].get("audience") or ""
            driver = self._objects.cached(CSI_DRIVER, self._driver_of(pod, volume))
            for request in (driver or {"spec": {}})["spec"].get("tokenRequests") or ():
                yield request.get("audience") or ""

    def _driver_of(self, pod: Object, volume: Object) -> str:
        """Of the volume itself, or of the persistent volume that its claim is bound to; empty when it has none."""
        if volume.get("csi"):
            return str(volume["csi"].get("driver", ""))
        claimed = (volume.get("persistentVolumeClaim") or {}).get("claimName", "")
        if volume.get("ephemeral"):
            claimed = f"{name_of(pod)}-{volume['name']}"
        if not claimed:
            return ""
        claim = self._objects.cached(core.PERSISTENT_VOLUME_CLAIM, claimed, pod["metadata"]["namespace"])
        bound = self._objects.cached(core.PERSISTENT_VOLUME, (claim or {"spec": {}})["spec"].get("volumeName", ""))
        return str(((bound or {"spec": {}})["spec"].get("csi") or {}).get("driver", ""))


def _refusal(context: RequestContext, why: str) -> Forbidden:
    details = {"name": context.name, "kind": core.SERVICE_ACCOUNT.plural}
    return Forbidden(f'serviceaccounts "{context.name}" is forbidden: {why}', details)
