"""The thin shell around the rollout's arithmetic."""

from collections.abc import Iterable, Sequence

from kajitori.api.apps import DEPLOYMENT, REPLICA_SET
from kajitori.api.core import POD
from kajitori.api.errors import AlreadyExists
from kajitori.api.meta import (
    Object,
    ObjectKey,
    annotations_of,
    condition_of,
    controller_of,
    is_deleting,
    key_of,
    name_of,
    namespace_of,
    uid_of,
)
from kajitori.api.pods import is_terminal
from kajitori.api.selectors import LabelSelector, from_label_selector
from kajitori.controllers.context import BY_CONTROLLER, Context
from kajitori.controllers.controller import Controller, Source, is_namespace_terminating, mapped, own, owned
from kajitori.controllers.deployment import revisions, scaling
from kajitori.controllers.deployment import status as statuses
from kajitori.controllers.deployment.scaling import Resize
from kajitori.controllers.deployment.status import Rollout
from kajitori.controllers.ownership import adopters, claim
from kajitori.controllers.replicas import replicas_of


class DeploymentController(Controller):
    name = "deployment-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.deployments = context.informer(DEPLOYMENT)
        self.replica_sets = context.index_by_controller(REPLICA_SET)
        self.pods = context.index_by_controller(POD)
        self.events = context.recorder(self.name)

    def sources(self) -> Iterable[Source]:
        return (
            own(DEPLOYMENT),
            owned(REPLICA_SET, "Deployment"),
            mapped(REPLICA_SET, lambda rs: adopters(self.deployments, rs, _selector_of)),
            # Recreate waits until the last old pod is over.
            mapped(POD, self._recreating, changed=lambda new, old: is_terminal(new) != is_terminal(old)),
        )

    def _recreating(self, pod: Object) -> list[ObjectKey]:
        owner = controller_of(pod)
        if owner is None or owner["kind"] != "ReplicaSet":
            return []
        replica_set = self.replica_sets.get(ObjectKey(namespace_of(pod), owner["name"]))
        deployment = controller_of(replica_set) if replica_set is not None else None
        if deployment is None:
            return []
        key = ObjectKey(namespace_of(pod), deployment["name"])
        found = self.deployments.get(key)
        return [key] if found is not None and not scaling.is_rolling(found) else []

    async def reconcile(self, key: ObjectKey) -> float | None:
        deployment = self.deployments.get(key)
        if deployment is None:
            return None
        if from_label_selector(deployment["spec"]["selector"]).empty:
            self.events.event(
                deployment,
                "Warning",
                "SelectingAll",
                "This deployment is selecting all pods. A non-empty selector is required.",
            )
            return None
        sets = await claim(self.context, DEPLOYMENT, deployment, _selector_of(deployment), REPLICA_SET)
        if is_deleting(deployment):
            return await self._sync_status(deployment, sets, judge_progress=False)
        deployment = await self.writes.update_status(
            DEPLOYMENT, deployment, statuses.pause_status(deployment, self.clock.now())
        )
        if deployment["spec"].get("paused") or scaling.is_scaling(deployment, sets):
            return await self._resize_only(deployment, sets)
        if scaling.is_rolling(deployment):
            return await self._roll(deployment, sets)
        return await self._recreate(deployment, sets)

    async def _resize_only(self, deployment: Object, sets: list[Object]) -> float | None:
        new, old = revisions.split(deployment, sets)
        if new is not None:
            deployment, new = await self._annotate(deployment, new, old)
        await self._apply(deployment, scaling.share_out(deployment, new, old), [*old, *([new] if new else [])])
        if deployment["spec"].get("paused"):
            await self._forget_expired(deployment, old)
        return await self._sync_status(deployment, self._current(deployment), judge_progress=False)

    async def _roll(self, deployment: Object, sets: list[Object]) -> float | None:
        deployment, new, old = await self._ensure_new(deployment, sets)
        wanted = scaling.new_replicas(deployment, [*old, new], new)
        resizes = [Resize(new, wanted)] if wanted != replicas_of(new) else scaling.shrink_old(deployment, new, old)
        await self._apply(deployment, resizes)
        if not resizes and statuses.is_complete(deployment, deployment.get("status") or {}):
            await self._forget_expired(deployment, old)
        return await self._sync_status(deployment, self._current(deployment), judge_progress=True)

    async def _recreate(self, deployment: Object, sets: list[Object]) -> float | None:
        new, old = revisions.split(deployment, sets)
        if new is not None:
            deployment, new = await self._annotate(deployment, new, old)
        stopping = [Resize(rs, 0) for rs in old if replicas_of(rs)]
        await self._apply(deployment, stopping)
        if not stopping and not self._old_pods_run(old):
            deployment, new, old = await self._ensure_new(deployment, sets)
            if replicas_of(new) != replicas_of(deployment):
                await self._apply(deployment, [Resize(new, replicas_of(deployment))])
            elif statuses.is_complete(deployment, deployment.get("status") or {}):
                await self._forget_expired(deployment, old)
        return await self._sync_status(deployment, self._current(deployment), judge_progress=True)

    def _old_pods_run(self, old: Iterable[Object]) -> bool:
        return any(
            (rs.get("status") or {}).get("replicas")
            or any(not is_terminal(pod) for pod in self.pods.by_index(BY_CONTROLLER, uid_of(rs)))
            for rs in old
        )

    def _current(self, deployment: Object) -> list[Object]:
        """The sets as the last writes left them."""
        return self.replica_sets.by_index(BY_CONTROLLER, uid_of(deployment))

    async def _ensure_new(self, deployment: Object, sets: list[Object]) -> tuple[Object, Object, list[Object]]:
        new, old = revisions.split(deployment, sets)
        if new is None:
            return await self._create_new(deployment, old)
        deployment, new = await self._annotate(deployment, new, old)
        return deployment, new, old

    async def _annotate(self, deployment: Object, new: Object, old: Sequence[Object]) -> tuple[Object, Object]:
        """Bring revision, history and minReadySeconds of the current set, and the Deployment's revision, up to date."""
        annotations = revisions.annotations_for(deployment, new, revisions.next_revision(old))
        min_ready_s = deployment["spec"].get("minReadySeconds") or 0
        if annotations != annotations_of(new) or (new["spec"].get("minReadySeconds") or 0) != min_ready_s:
            patch = {"metadata": {"annotations": annotations}, "spec": {"minReadySeconds": min_ready_s or None}}
            new = await self.writes.patch(REPLICA_SET, new, patch)
        deployment = await self._set_revision(deployment, annotations[revisions.REVISION])
        if statuses.deadline_s(deployment) is not None and condition_of(deployment, "Progressing") is None:
            message = f'Found new replica set "{name_of(new)}"'
            status = statuses.with_progressing(deployment, "True", statuses.FOUND, message, self.clock.now())
            deployment = await self.writes.update_status(DEPLOYMENT, deployment, status)
        return deployment, new

    async def _set_revision(self, deployment: Object, revision: str) -> Object:
        if annotations_of(deployment).get(revisions.REVISION) == revision:
            return deployment
        patch = {"metadata": {"annotations": {revisions.REVISION: revision}}}
        # Through the object's own endpoint it would count as a new generation, as a user's annotation does.
        return await self.writes.patch(DEPLOYMENT, deployment, patch, subresource="status")

    async def _create_new(self, deployment: Object, old: list[Object]) -> tuple[Object, Object, list[Object]]:
        revision = revisions.next_revision(old)
        replicas = scaling.new_replicas(deployment, old, None)
        wanted = revisions.make_replica_set(deployment, replicas, revision)
        try:
            new = await self.writes.create(REPLICA_SET, wanted)
        except AlreadyExists:
            new = await self._adopt_or_dodge(deployment, wanted)
        except Exception as error:
            if not is_namespace_terminating(error):
                await self._report_failed_create(deployment, wanted, error)
            raise
        else:
            if replicas:
                self._record_scaling(deployment, new, 0, replicas)
        deployment = await self._set_revision(deployment, str(revision))
        if statuses.deadline_s(deployment) is not None:
            message = f'Created new replica set "{name_of(new)}"'
            status = statuses.with_progressing(deployment, "True", statuses.CREATED, message, self.clock.now())
            deployment = await self.writes.update_status(DEPLOYMENT, deployment, status)
        return deployment, new, old

    async def _adopt_or_dodge(self, deployment: Object, wanted: Object) -> Object:
        """A set of that name exists: ours with the same template, or one whose hash collides (then count it)."""
        key = key_of(wanted)
        present = await self.client.get(REPLICA_SET, key.name, key.namespace)
        owner = controller_of(present)
        if owner and owner["uid"] == uid_of(deployment) and revisions.same_template(deployment, present):
            return present
        status = dict(deployment.get("status") or {})
        status["collisionCount"] = (status.get("collisionCount") or 0) + 1
        await self.writes.update_status(DEPLOYMENT, deployment, status)
        raise AlreadyExists.of("apps", "replicasets", key.name)

    async def _report_failed_create(self, deployment: Object, wanted: Object, error: Exception) -> None:
        message = f'Failed to create new replica set "{name_of(wanted)}": {error}'
        self.events.event(deployment, "Warning", statuses.FAILED_CREATE, message)
        if statuses.deadline_s(deployment) is not None:
            status = statuses.with_progressing(
                deployment, "False", statuses.FAILED_CREATE, str(error), self.clock.now()
            )
            await self.writes.update_status(DEPLOYMENT, deployment, status)

    async def _apply(self, deployment: Object, resizes: Iterable[Resize], also: Iterable[Object] = ()) -> None:
        """Resize, and mark every touched set with the Deployment's size, so that its next change is recognised."""
        wanted = revisions.replicas_annotations(deployment)
        touched = {name_of(resize.replica_set): resize for resize in resizes}
        for rs in also:
            if replicas_of(rs):
                touched.setdefault(name_of(rs), Resize(rs, replicas_of(rs)))
        for resize in touched.values():
            rs, before = resize.replica_set, replicas_of(resize.replica_set)
            if before == resize.replicas and wanted.items() <= annotations_of(rs).items():
                continue
            meta = {"annotations": wanted, "resourceVersion": rs["metadata"]["resourceVersion"]}
            await self.writes.patch(REPLICA_SET, rs, {"metadata": meta, "spec": {"replicas": resize.replicas}})
            if before != resize.replicas:
                self._record_scaling(deployment, rs, before, resize.replicas)

    def _record_scaling(self, deployment: Object, replica_set: Object, before: int, after: int) -> None:
        direction = "up" if after > before else "down"
        message = f"Scaled {direction} replica set {name_of(replica_set)} from {before} to {after}"
        self.events.event(deployment, "Normal", "ScalingReplicaSet", message)

    async def _forget_expired(self, deployment: Object, old: Sequence[Object]) -> None:
        for rs in revisions.expired(deployment, old):
            await self.writes.delete(REPLICA_SET, rs, propagation="Background")

    async def _sync_status(self, deployment: Object, sets: Sequence[Object], *, judge_progress: bool) -> float | None:
        new, old = revisions.split(deployment, sets)
        now_s = self.clock.now()
        status = statuses.status_of(deployment, Rollout(new, old, now_s), judge_progress=judge_progress)
        await self.writes.update_status(DEPLOYMENT, deployment, status)
        return statuses.check_again_s(deployment, status, now_s) if judge_progress else None


def _selector_of(deployment: Object) -> LabelSelector:
    return from_label_selector(deployment["spec"]["selector"])
