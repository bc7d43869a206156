"""ControllerRevisions: the past templates of a StatefulSet or DaemonSet, for `kubectl rollout history` and `undo`."""

import copy
from collections.abc import Iterable, Sequence

import orjson

from kajitori.api.apps import CONTROLLER_REVISION
from kajitori.api.errors import AlreadyExists
from kajitori.api.meta import Object, annotations_of, is_deleting, labels_of, name_of, owner_reference, uid_of
from kajitori.controllers.context import BY_CONTROLLER, Context
from kajitori.controllers.hashing import template_hash

REVISION_HASH_LABEL = "controller.kubernetes.io/hash"
"""On a StatefulSet's revisions."""
POD_HASH_LABEL = "controller-revision-hash"
"""On the pods of both kinds, and on a DaemonSet's revisions."""
_NAME_LENGTH_MAX = 223


def snapshot(owner: Object) -> Object:
    """What a revision stores: a strategic merge patch that restores the template.

    Keys are sorted, because clients (`kubectl rollout`) compare the bytes with those they would write.
    """
    template = {**owner["spec"]["template"], "$patch": "replace"}
    patch: Object = orjson.loads(orjson.dumps({"spec": {"template": template}}, option=orjson.OPT_SORT_KEYS))
    return patch


def template_of(revision: Object) -> Object:
    template = copy.deepcopy(revision["data"]["spec"]["template"])
    template.pop("$patch", None)
    return template  # type: ignore[no-any-return]


def pod_hash(revision: Object) -> str:
    return labels_of(revision).get(POD_HASH_LABEL) or name_of(revision).rpartition("-")[2]


def make_revision(owner: Object, number: int, collisions: int | None, hash_label: str) -> Object:
    data = snapshot(owner)
    digest = template_hash(data, collisions)
    labels = (owner["spec"]["template"].get("metadata") or {}).get("labels") or {}
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": f"{name_of(owner)[:_NAME_LENGTH_MAX]}-{digest}",
            "namespace": owner["metadata"]["namespace"],
            "labels": {**labels, hash_label: digest},
            "annotations": {
                k: v for k, v in annotations_of(owner).items() if not k.startswith("kubectl.kubernetes.io/last")
            },
            "ownerReferences": [owner_reference(owner)],
        },
        "data": data,
        "revision": number,
    }


class History:
    """The revisions of the owners of one loop, which carry their hash as `hash_label`."""

    def __init__(self, context: Context, hash_label: str) -> None:
        self.hash_label = hash_label
        self.writes = context.writes
        self.client = context.client
        self.revisions = context.index_by_controller(CONTROLLER_REVISION)

    def of(self, owner: Object) -> list[Object]:
        """Oldest first."""
        found = self.revisions.by_index(BY_CONTROLLER, uid_of(owner))
        return sorted(found, key=lambda r: (r["revision"], r["metadata"].get("creationTimestamp") or "", name_of(r)))

    async def current(self, owner: Object) -> tuple[Object, int | None]:
        """The revision of the owner's present template, made or moved to the end if need be; and collisionCount."""
        collisions = (owner.get("status") or {}).get("collisionCount")
        past = self.of(owner)
        number = max((r["revision"] for r in past), default=0) + 1
        wanted = snapshot(owner)
        equal = next((r for r in reversed(past) if r["data"] == wanted), None)
        if equal is not None:
            if equal["revision"] < number - 1:
                # An undo: the old template is the newest again.
                equal = await self.writes.patch(CONTROLLER_REVISION, equal, {"revision": number})
            return equal, collisions
        while True:
            revision = make_revision(owner, number, collisions, self.hash_label)
            try:
                return await self.writes.create(CONTROLLER_REVISION, revision), collisions
            except AlreadyExists:
                meta = revision["metadata"]
                present = await self.client.get(CONTROLLER_REVISION, meta["name"], meta["namespace"])
                owners = present["metadata"].get("ownerReferences") or ()
                if present["data"] == wanted and any(o["uid"] == uid_of(owner) for o in owners):
                    return present, collisions
                collisions = (collisions or 0) + 1

    async def truncate(self, owner: Object, live: Iterable[str]) -> None:
        """Delete the oldest revisions beyond `revisionHistoryLimit`; `live` ones (by name) do not count."""
        limit = owner["spec"].get("revisionHistoryLimit")
        for revision in expired(self.of(owner), set(live), 10 if limit is None else limit):
            await self.writes.delete(CONTROLLER_REVISION, revision)


def expired(past: Sequence[Object], live: set[str], limit: int) -> list[Object]:
    dead = [r for r in past if name_of(r) not in live and not is_deleting(r)]
    return dead[: max(0, len(dead) - limit)]
