"""The thin shell around a Job's plan."""

from collections.abc import Iterable

from kajitori.api.batch import JOB
from kajitori.api.core import POD
from kajitori.api.errors import NotFound
from kajitori.api.meta import Object, ObjectKey, condition_of, is_deleting, key_of, name_of
from kajitori.api.selectors import LabelSelector, from_label_selector
from kajitori.api.times import parse_timestamp
from kajitori.controllers.batches import all_at_once, in_growing_batches
from kajitori.controllers.context import Context
from kajitori.controllers.controller import Controller, Source, is_namespace_terminating, mapped, own, owned
from kajitori.controllers.job.plan import is_finished, plan
from kajitori.controllers.job.pods import FINALIZER, is_tracked, make_pod
from kajitori.controllers.ownership import adopters, claim

BUILTIN_MANAGER = "kubernetes.io/job-controller"


class JobController(Controller):
    name = "job-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.jobs = context.informer(JOB)
        self.pods = context.index_by_controller(POD)
        self.events = context.recorder(self.name)

    def sources(self) -> Iterable[Source]:
        return (
            own(JOB),
            owned(POD, "Job"),
            mapped(POD, lambda pod: adopters(self.jobs, pod, _selector_of)),
        )

    async def reconcile(self, key: ObjectKey) -> float | None:
        job = self.jobs.get(key)
        if job is None:
            await self._release_all(key)
            return None
        if job["spec"].get("managedBy") not in (None, BUILTIN_MANAGER):
            return None
        if is_deleting(job):
            await self._release_all(key)
            return None
        pods = await claim(self.context, JOB, job, _selector_of(job), POD)
        todo = plan(job, pods, self.clock.now())
        # The status goes first: a pod may only lose its finalizer once its uid is written down.
        job = await self.writes.update_status(JOB, job, todo.status)
        for kind, reason, message in todo.events:
            self.events.event(job, kind, reason, message)
        error = await all_at_once(
            [
                *(self._release(pod) for pod in todo.release),
                *(self._drop(job, pod) for pod in todo.drop),
                *(self._delete(job, pod) for pod in todo.delete),
            ]
        )
        _, failed = await in_growing_batches(len(todo.create), lambda i: self._create(job, *todo.create[i]))
        if error or failed:
            raise error or failed or AssertionError
        if todo.create or todo.drop:
            # The counters of active pods follow from what was just done.
            return 0.0
        return todo.again_s

    async def _release_all(self, key: ObjectKey) -> None:
        """The Job is gone or going: nobody will count its pods any more."""
        for pod in self.pods.list(key.namespace):
            owner = next((o for o in pod["metadata"].get("ownerReferences") or () if o.get("controller")), None)
            if owner and owner["kind"] == "Job" and owner["name"] == key.name:
                job = self.jobs.get(key)
                if job is None or is_deleting(job) or job["metadata"]["uid"] != owner["uid"]:
                    await self._release(pod)

    async def _create(self, job: Object, index: int | None, failures: int) -> None:
        try:
            pod = await self.writes.create(POD, make_pod(job, index, failures))
        except Exception as error:
            if not is_namespace_terminating(error):
                self.events.event(job, "Warning", "FailedCreate", f"Error creating: {error}")
            raise
        self.events.event(job, "Normal", "SuccessfulCreate", f"Created pod: {name_of(pod)}")

    async def _release(self, pod: Object) -> None:
        if not is_tracked(pod):
            return
        meta = pod["metadata"]
        left = [finalizer for finalizer in meta["finalizers"] if finalizer != FINALIZER]
        patch = {"metadata": {"resourceVersion": meta["resourceVersion"], "finalizers": left or None}}
        try:
            await self.writes.patch(POD, pod, patch)
        except NotFound:
            return

    async def _drop(self, job: Object, pod: Object) -> None:
        await self._release(pod)
        await self._delete(job, pod)

    async def _delete(self, job: Object, pod: Object) -> None:
        if await self.writes.delete(POD, pod):
            self.events.event(job, "Normal", "SuccessfulDelete", f"Deleted pod: {name_of(pod)}")


class TtlAfterFinishedController(Controller):
    """Deletes finished Jobs when their `ttlSecondsAfterFinished` have passed."""

    name = "ttl-after-finished-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.jobs = context.informer(JOB)

    def sources(self) -> Iterable[Source]:
        return (mapped(JOB, lambda job: [key_of(job)] if expires_at_s(job) is not None else []),)

    async def reconcile(self, key: ObjectKey) -> float | None:
        job = self.jobs.get(key)
        if job is None or is_deleting(job):
            return None
        due_s = expires_at_s(job)
        if due_s is None:
            return None
        left_s = due_s - self.clock.now()
        if left_s > 0:
            return left_s
        # A longer time to live may have been set a moment ago.
        try:
            newest = await self.client.get(JOB, key.name, key.namespace)
        except NotFound:
            return None
        if expires_at_s(newest) == due_s:
            await self.writes.delete(JOB, newest, propagation="Foreground")
        return None


def expires_at_s(job: Object) -> float | None:
    ttl_s = job["spec"].get("ttlSecondsAfterFinished")
    if ttl_s is None or not is_finished(job):
        return None
    for kind in ("Complete", "Failed"):
        condition = condition_of(job, kind)
        if condition is not None and condition["status"] == "True":
            return parse_timestamp(condition["lastTransitionTime"]) + float(ttl_s)
    return None


def _selector_of(job: Object) -> LabelSelector:
    return from_label_selector(job["spec"].get("selector"))
