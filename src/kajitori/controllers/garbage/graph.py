"""Who owns whom, over all kinds, and which objects a change makes worth a look. Pure; follows upstream's collector.

The graph holds what the watches have shown. An owner that it does not know may be absent or merely not seen yet: the
collector asks the server before it believes the former.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from kajitori.api.meta import Object, ObjectKey, is_deleting, key_of, uid_of
from kajitori.api.resource import Resource

Uid = str

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"


@dataclass(frozen=True, slots=True)
class OwnerRef:
    uid: Uid
    api_version: str
    kind: str
    name: str
    blocks: bool


@dataclass(frozen=True, slots=True)
class Node:
    resource: Resource
    key: ObjectKey
    uid: Uid
    owners: tuple[OwnerRef, ...]
    waits_for_dependents: bool
    """Being deleted in the foreground."""
    orphans_dependents: bool
    deleting: bool


def node_of(resource: Resource, obj: Object) -> Node:
    meta = obj["metadata"]
    deleting = is_deleting(obj)
    finalizers = meta.get("finalizers") or ()
    return Node(
        resource,
        key_of(obj),
        uid_of(obj),
        owner_refs(obj),
        deleting and FOREGROUND in finalizers,
        deleting and ORPHAN in finalizers,
        deleting,
    )


def owner_refs(obj: Object) -> tuple[OwnerRef, ...]:
    references = obj["metadata"].get("ownerReferences") or ()
    return tuple(
        OwnerRef(r["uid"], r["apiVersion"], r["kind"], r["name"], bool(r.get("blockOwnerDeletion"))) for r in references
    )


class Graph:
    def __init__(self) -> None:
        self._nodes: dict[Uid, Node] = {}
        self._dependents: dict[Uid, set[Uid]] = {}

    def get(self, uid: Uid) -> Node | None:
        return self._nodes.get(uid)

    def dependents(self, uid: Uid) -> list[Node]:
        return [self._nodes[d] for d in sorted(self._dependents.get(uid, ())) if d in self._nodes]

    def blocking(self, uid: Uid) -> list[Node]:
        """Dependents that a foreground deletion must wait for."""
        return [d for d in self.dependents(uid) if any(o.uid == uid and o.blocks for o in d.owners)]

    def put(self, node: Node) -> set[Uid]:
        """Enter or replace; returns the objects to look at."""
        old = self._nodes.get(node.uid)
        self._nodes[node.uid] = node
        look: set[Uid] = set()
        if old is None or old.owners != node.owners:
            self._relink(node, old)
            if node.owners:
                look.add(node.uid)
            look |= self._waiting_owners([*node.owners, *(old.owners if old else ())])
        if node.waits_for_dependents or node.orphans_dependents:
            look.add(node.uid)
        if node.waits_for_dependents and not (old and old.waits_for_dependents):
            look |= self._dependents.get(node.uid, set())
        return look

    def remove(self, uid: Uid) -> set[Uid]:
        """Forget; returns the objects to look at."""
        node = self._nodes.pop(uid, None)
        look = set(self._dependents.get(uid, ()))
        if node is not None:
            for owner in node.owners:
                self._unlink(owner.uid, uid)
            look |= self._waiting_owners(node.owners)
        return look

    def _relink(self, node: Node, old: Node | None) -> None:
        for owner in old.owners if old else ():
            self._unlink(owner.uid, node.uid)
        for owner in node.owners:
            self._dependents.setdefault(owner.uid, set()).add(node.uid)

    def _unlink(self, owner: Uid, dependent: Uid) -> None:
        dependents = self._dependents.get(owner)
        if dependents is not None:
            dependents.discard(dependent)
            if not dependents:
                del self._dependents[owner]

    def _waiting_owners(self, owners: Iterable[OwnerRef]) -> set[Uid]:
        return {o.uid for o in owners if o.uid in self._nodes and self._nodes[o.uid].waits_for_dependents}


@dataclass(frozen=True, slots=True)
class Keep:
    """Nothing to do."""


@dataclass(frozen=True, slots=True)
class DropOwners:
    """Other owners hold it: forget those that are gone."""

    uids: frozenset[Uid]


@dataclass(frozen=True, slots=True)
class Delete:
    """`unblock` breaks a circle of objects that wait for each other."""

    propagation: str
    unblock: bool = False


Verdict = Keep | DropOwners | Delete


def judge(obj: Object, absent: frozenset[Uid], graph: Graph) -> Verdict:
    """What becomes of an object with owners, `absent` being those that no longer exist."""
    owners = owner_refs(obj)
    waiting = frozenset(
        o.uid
        for o in owners
        if o.blocks and o.uid not in absent and (node := graph.get(o.uid)) is not None and node.waits_for_dependents
    )
    going = absent | waiting
    if any(o.uid not in going for o in owners):
        return DropOwners(going) if going else Keep()
    if not owners:
        return Keep()
    dependents = graph.dependents(uid_of(obj))
    if waiting and dependents:
        return Delete("Foreground", unblock=any(d.waits_for_dependents for d in dependents))
    finalizers = obj["metadata"].get("finalizers") or ()
    if ORPHAN in finalizers:
        return Delete("Orphan")
    return Delete("Foreground" if FOREGROUND in finalizers else "Background")
