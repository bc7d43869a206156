"""The thin shell around a CronJob's plan."""

from collections.abc import Iterable
from zoneinfo import ZoneInfo

from kajitori.api.batch import CRON_JOB, JOB
from kajitori.api.cron import CronSchedule, InvalidSchedule, parse_cron
from kajitori.api.errors import AlreadyExists, NotFound
from kajitori.api.meta import (
    Object,
    ObjectKey,
    condition_is,
    is_deleting,
    key_of,
    name_of,
    namespace_of,
    object_reference,
    uid_of,
)
from kajitori.api.times import timestamp
from kajitori.controllers.context import BY_CONTROLLER, Context
from kajitori.controllers.controller import Controller, Source, is_namespace_terminating, own, owned
from kajitori.controllers.cronjob.plan import make_job, plan, surplus_history
from kajitori.controllers.cronjob.schedule import UnknownTimeZone, zone_of
from kajitori.controllers.job.plan import is_finished


class CronJobController(Controller):
    name = "cronjob-controller"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.cronjobs = context.informer(CRON_JOB)
        self.jobs = context.index_by_controller(JOB)
        self.events = context.recorder(self.name)

    def sources(self) -> Iterable[Source]:
        return (own(CRON_JOB), owned(JOB, "CronJob"))

    async def reconcile(self, key: ObjectKey) -> float | None:
        cronjob = self.cronjobs.get(key)
        if cronjob is None:
            return None
        jobs = self.jobs.by_index(BY_CONTROLLER, uid_of(cronjob))
        cronjob = await self._note_ended(cronjob, jobs)
        again_s = None
        read = self._read_schedule(cronjob)
        if read is not None and not is_deleting(cronjob) and not cronjob["spec"].get("suspend"):
            again_s = await self._start_due(cronjob, jobs, *read)
        for job in surplus_history(cronjob, jobs):
            await self._delete(cronjob, job)
        return again_s

    def _read_schedule(self, cronjob: Object) -> tuple[CronSchedule, ZoneInfo] | None:
        text = cronjob["spec"]["schedule"]
        try:
            zone = zone_of(cronjob["spec"].get("timeZone"))
        except UnknownTimeZone as error:
            self.events.event(cronjob, "Warning", "UnknownTimeZone", f"invalid timeZone: {error}")
            return None
        try:
            return parse_cron(text), zone
        except InvalidSchedule as error:
            self.events.event(cronjob, "Warning", "UnparseableSchedule", f'unparseable schedule: "{text}" : {error}')
            return None

    async def _note_ended(self, cronjob: Object, jobs: list[Object]) -> Object:
        """Keep `status.active` to what runs, and remember the last success."""
        by_uid = {uid_of(job): job for job in jobs}
        status = dict(cronjob.get("status") or {})
        active = []
        for reference in status.get("active") or ():
            job = by_uid.get(reference["uid"])
            if job is None:
                if await self._still_exists(reference):
                    active.append(reference)
                else:
                    message = f"Active job went missing: {reference['name']}"
                    self.events.event(cronjob, "Normal", "MissingJob", message)
            elif is_finished(job):
                outcome = "Complete" if condition_is(job, "Complete") else "Failed"
                message = f"Saw completed job: {name_of(job)}, condition: {outcome}"
                self.events.event(cronjob, "Normal", "SawCompletedJob", message)
            else:
                active.append(reference)
        status["active"] = active
        ends = [(j.get("status") or {}).get("completionTime") or "" for j in jobs if condition_is(j, "Complete")]
        latest = max([status.get("lastSuccessfulTime") or "", *ends])
        if latest:
            status["lastSuccessfulTime"] = latest
        return await self.writes.update_status(CRON_JOB, cronjob, _trimmed(status))

    async def _still_exists(self, reference: Object) -> bool:
        try:
            job = await self.client.get(JOB, reference["name"], reference["namespace"])
        except NotFound:
            return False
        return uid_of(job) == str(reference["uid"])

    async def _start_due(
        self, cronjob: Object, jobs: list[Object], schedule: CronSchedule, zone: ZoneInfo
    ) -> float | None:
        listed = {reference["uid"] for reference in (cronjob.get("status") or {}).get("active") or ()}
        running = [job for job in jobs if uid_of(job) in listed and not is_finished(job)]
        todo = plan(cronjob, running, schedule, zone, self.clock.now())
        for kind, reason, message in todo.events:
            self.events.event(cronjob, kind, reason, message)
        for job in todo.stop:
            await self._delete(cronjob, job)
        if todo.start_s is not None:
            await self._start(cronjob, {uid_of(job) for job in todo.stop}, todo.start_s, zone)
        return todo.again_s

    async def _start(self, cronjob: Object, stopped: set[str], scheduled_s: float, zone: ZoneInfo) -> None:
        wanted = make_job(cronjob, scheduled_s, zone)
        try:
            job = await self.writes.create(JOB, wanted)
        except AlreadyExists:
            # Made in an earlier round whose status write was lost.
            job = await self.client.get(JOB, name_of(wanted), namespace_of(wanted))
        except Exception as error:
            if not is_namespace_terminating(error):
                self.events.event(cronjob, "Warning", "FailedCreate", f"Error creating job: {error}")
            raise
        else:
            self.events.event(cronjob, "Normal", "SuccessfulCreate", f"Created job {name_of(job)}")
        status = dict(cronjob.get("status") or {})
        active = [r for r in status.get("active") or () if r["uid"] not in stopped | {uid_of(job)}]
        if not is_finished(job):
            active.append(object_reference(job))
        status |= {"active": active, "lastScheduleTime": timestamp(scheduled_s)}
        await self.writes.update_status(CRON_JOB, cronjob, _trimmed(status))

    async def _delete(self, cronjob: Object, job: Object) -> None:
        if not is_deleting(job) and await self.writes.delete(JOB, job, propagation="Background"):
            self.events.event(cronjob, "Normal", "SuccessfulDelete", f"Deleted job {key_of(job).name}")


def _trimmed(status: Object) -> Object:
    return {key: value for key, value in status.items() if value or key != "active"}
