"""The thin shell around a StatefulSet's plan."""

from collections.abc import Iterable, Sequence

from kajitori.api.apps import CONTROLLER_REVISION, STATEFUL_SET
from kajitori.api.core import PERSISTENT_VOLUME_CLAIM, POD
from kajitori.api.errors import AlreadyExists, Conflict
from kajitori.api.meta import Object, ObjectKey, is_deleting, key_of, labels_of, name_of, namespace_of
from kajitori.api.selectors import LabelSelector, from_label_selector
from kajitori.controllers.batches import all_at_once, in_growing_batches
from kajitori.controllers.context import Context
from kajitori.controllers.controller import Controller, Source, is_namespace_terminating, mapped, own, owned
from kajitori.controllers.history import POD_HASH_LABEL, REVISION_HASH_LABEL, History, template_of
from kajitori.controllers.ownership import adopters, claim
from kajitori.controllers.pods import next_available_s
from kajitori.controllers.statefulset import identity
from kajitori.controllers.statefulset.plan import Action, Create, Delete, Plan, Revisions, plan, status_of


class StatefulSetController(Controller):
    name = "statefulset-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.sets = context.informer(STATEFUL_SET)
        self.pods = context.index_by_controller(POD)
        self.claims = context.informer(PERSISTENT_VOLUME_CLAIM)
        self.history = History(context, REVISION_HASH_LABEL)
        self.events = context.recorder(self.name)

    def sources(self) -> Iterable[Source]:
        return (
            own(STATEFUL_SET),
            owned(POD, "StatefulSet"),
            owned(CONTROLLER_REVISION, "StatefulSet"),
            mapped(POD, lambda pod: adopters(self.sets, pod, _selector_of)),
            # A place whose claim was just being deleted can be filled once it is gone.
            mapped(PERSISTENT_VOLUME_CLAIM, self._claiming, changed=lambda new, old: False),
        )

    def _claiming(self, claim_: Object) -> list[ObjectKey]:
        labels = labels_of(claim_)
        return [
            key_of(s)
            for s in self.sets.list(namespace_of(claim_))
            if identity.claim_templates(s) and _selector_of(s).matches(labels)
        ]

    async def reconcile(self, key: ObjectKey) -> float | None:
        statefulset = self.sets.get(key)
        if statefulset is None:
            return None
        pods = [p for p in await self._claimed(statefulset) if identity.ordinal_of(statefulset, p) is not None]
        update, collisions = await self.history.current(statefulset)
        past = {name_of(r): r for r in self.history.of(statefulset)} | {name_of(update): update}
        current = (statefulset.get("status") or {}).get("currentRevision") or ""
        revisions = Revisions(current if current in past else name_of(update), name_of(update))
        now_s = self.clock.now()
        todo = plan(statefulset, pods, revisions, now_s)
        await self._settle_claims(statefulset, pods, todo)
        error = await self._carry_out(statefulset, todo.actions, past)
        left = [p for p in await self._claimed(statefulset) if identity.ordinal_of(statefulset, p) is not None]
        status = status_of(statefulset, left, revisions, collisions, now_s)
        await self.writes.update_status(STATEFUL_SET, statefulset, status)
        if error is not None:
            raise error
        used = {labels_of(p).get(POD_HASH_LABEL, "") for p in left}
        live = {revisions.current, revisions.update, status["currentRevision"], *used}
        if not is_deleting(statefulset):
            await self.history.truncate(statefulset, live)
        return next_available_s(left, statefulset["spec"].get("minReadySeconds") or 0, now_s)

    async def _claimed(self, statefulset: Object) -> list[Object]:
        return await claim(
            self.context,
            STATEFUL_SET,
            statefulset,
            _selector_of(statefulset),
            POD,
            accepts=lambda pod: identity.ordinal_of(statefulset, pod) is not None,
        )

    async def _carry_out(
        self, statefulset: Object, actions: Sequence[Action], past: dict[str, Object]
    ) -> Exception | None:
        creations = [action for action in actions if isinstance(action, Create)]
        deletions = [action for action in actions if isinstance(action, Delete)]
        _, failed = await in_growing_batches(
            len(creations), lambda i: self._create(statefulset, creations[i], template_of(past[creations[i].revision]))
        )
        return await all_at_once([self._delete(statefulset, deletion) for deletion in deletions]) or failed

    async def _create(self, statefulset: Object, action: Create, template: Object) -> None:
        name, owner = identity.pod_name(statefulset, action.ordinal), name_of(statefulset)
        try:
            await self._ensure_claims(statefulset, action.ordinal)
            await self.writes.create(POD, identity.make_pod(statefulset, template, action.revision, action.ordinal))
        except AlreadyExists:
            raise
        except Exception as error:
            if not is_namespace_terminating(error):
                message = f"create Pod {name} in StatefulSet {owner} failed error: {error}"
                self.events.event(statefulset, "Warning", "FailedCreate", message)
            raise
        message = f"create Pod {name} in StatefulSet {owner} successful"
        self.events.event(statefulset, "Normal", "SuccessfulCreate", message)

    async def _ensure_claims(self, statefulset: Object, ordinal: int) -> None:
        for wanted in identity.make_claims(statefulset, ordinal):
            present = self.claims.get(key_of(wanted))
            if present is None:
                wanted["metadata"]["ownerReferences"] = identity.claim_owners(
                    statefulset, wanted, None, condemned=False
                )
                await self.writes.create(PERSISTENT_VOLUME_CLAIM, wanted)
                pod, owner = identity.pod_name(statefulset, ordinal), name_of(statefulset)
                message = f"create Claim {name_of(wanted)} Pod {pod} in StatefulSet {owner} success"
                self.events.event(statefulset, "Normal", "SuccessfulCreate", message)
            elif is_deleting(present):
                raise Conflict(f"pvc {name_of(present)} is being deleted")

    async def _delete(self, statefulset: Object, action: Delete) -> None:
        pod, owner = action.pod, name_of(statefulset)
        if action.reason:
            kind = "failed" if action.reason == "RecreatingFailedPod" else "terminated"
            message = f"StatefulSet {key_of(statefulset)} is recreating {kind} Pod {name_of(pod)}"
            self.events.event(statefulset, "Warning" if kind == "failed" else "Normal", action.reason, message)
        try:
            await self.writes.delete(POD, pod)
        except Exception as error:
            message = f"delete Pod {name_of(pod)} in StatefulSet {owner} failed error: {error}"
            self.events.event(statefulset, "Warning", "FailedDelete", message)
            raise
        message = f"delete Pod {name_of(pod)} in StatefulSet {owner} successful"
        self.events.event(statefulset, "Normal", "SuccessfulDelete", message)

    async def _settle_claims(self, statefulset: Object, pods: Iterable[Object], todo: Plan) -> None:
        """Give adopted pods their labels, and claims the owners that the retention policy wants."""
        condemned = {name_of(pod) for pod in todo.condemned}
        for pod in pods:
            ordinal = identity.ordinal_of(statefulset, pod)
            if ordinal is None or is_deleting(statefulset):
                continue
            patch = identity.identity_patch(statefulset, pod, ordinal)
            if patch is not None and not is_deleting(pod):
                await self.writes.patch(POD, pod, patch)
            for wanted in identity.make_claims(statefulset, ordinal):
                present = self.claims.get(key_of(wanted))
                if present is None:
                    continue
                owners = identity.claim_owners(statefulset, present, pod, condemned=name_of(pod) in condemned)
                if owners != list(present["metadata"].get("ownerReferences") or ()):
                    await self.writes.patch(
                        PERSISTENT_VOLUME_CLAIM, present, {"metadata": {"ownerReferences": owners or None}}
                    )


def _selector_of(statefulset: Object) -> LabelSelector:
    return from_label_selector(statefulset["spec"]["selector"])
