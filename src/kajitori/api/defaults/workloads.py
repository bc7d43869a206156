"""Defaults of the controllers of pods: apps, batch and the replication controller."""

from kajitori.api.defaults.filling import each, fill, fill_zero, part
from kajitori.api.defaults.pods import default_pod_template
from kajitori.api.defaults.status import keep_status
from kajitori.api.defaults.volumes import default_claim
from kajitori.api.meta import Object
from kajitori.api.selectors import label_value_errors

TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"

CONTROLLER_UID_LABEL = "batch.kubernetes.io/controller-uid"
JOB_NAME_LABEL = "batch.kubernetes.io/job-name"
_LEGACY_CONTROLLER_UID_LABEL = "controller-uid"
_LEGACY_JOB_NAME_LABEL = "job-name"

_INT32_MAX = 2**31 - 1


def default_pod_template_object(holder: Object) -> None:
    default_pod_template(part(holder, "template"))


def default_deployment(deployment: Object) -> None:
    spec = part(deployment, "spec")
    fill(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = part(spec, "strategy")
    fill_zero(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        fill(part(strategy, "rollingUpdate"), maxUnavailable="25%", maxSurge="25%")
    default_pod_template(part(spec, "template"))


def default_replica_set(replica_set: Object) -> None:
    spec = part(replica_set, "spec")
    fill(spec, replicas=1)
    default_pod_template(part(spec, "template"))


def default_replication_controller(controller: Object) -> None:
    """Labels and selector come from the template's labels."""
    spec = part(controller, "spec")
    fill(spec, replicas=1)
    template = spec.get("template")
    if template is None:
        return
    default_pod_template(template)
    if labels := template["metadata"].get("labels"):
        fill_zero(spec, selector=dict(labels))
        fill_zero(part(controller, "metadata"), labels=dict(labels))


def default_daemon_set(daemon_set: Object) -> None:
    part(daemon_set, "metadata", "annotations").setdefault(TEMPLATE_GENERATION, "0")
    spec = part(daemon_set, "spec")
    fill(spec, revisionHistoryLimit=10)
    strategy = part(spec, "updateStrategy")
    fill_zero(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        fill(part(strategy, "rollingUpdate"), maxUnavailable=1, maxSurge=0)
    default_pod_template(part(spec, "template"))


def prepare_daemon_set(daemon_set: Object) -> None:
    daemon_set["status"] = {
        "currentNumberScheduled": 0,
        "numberMisscheduled": 0,
        "desiredNumberScheduled": 0,
        "numberReady": 0,
    }
    annotations = part(daemon_set, "metadata", "annotations")
    annotations[TEMPLATE_GENERATION] = str(_count(annotations) or 1)


def _count(annotations: Object) -> int:
    text = annotations.get(TEMPLATE_GENERATION) or ""
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 20 else 0


def prepare_daemon_set_update(new: Object, old: Object) -> None:
    """The generation of the template counts its changes, in an annotation that outlived its field."""
    new["status"] = old.get("status") or {}
    count = _count(old["metadata"].get("annotations") or {})
    if new["spec"].get("template") != old["spec"].get("template"):
        count += 1
    part(new, "metadata", "annotations")[TEMPLATE_GENERATION] = str(count)


def keep_template_generation(new: Object, old: Object, now: str) -> None:
    """The annotation stands for a field of the spec, which a status leaves alone."""
    count = _count(old["metadata"].get("annotations") or {})
    new["metadata"]["annotations"] = {**(new["metadata"].get("annotations") or {}), TEMPLATE_GENERATION: str(count)}


def default_stateful_set(stateful_set: Object) -> None:
    spec = part(stateful_set, "spec")
    fill(spec, replicas=1, revisionHistoryLimit=10)
    fill_zero(spec, podManagementPolicy="OrderedReady")
    strategy = part(spec, "updateStrategy")
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
        part(strategy, "rollingUpdate")
    rolling = strategy.get("rollingUpdate")
    if strategy["type"] == "RollingUpdate" and rolling is not None:
        fill(rolling, partition=0)
    fill_zero(part(spec, "persistentVolumeClaimRetentionPolicy"), whenDeleted="Retain", whenScaled="Retain")
    default_pod_template(part(spec, "template"))
    for claim in each(spec, "volumeClaimTemplates"):
        claim |= {"kind": "PersistentVolumeClaim", "apiVersion": "v1"}  # whatever it is called
        part(claim, "metadata")
        default_claim(claim)


def prepare_stateful_set(stateful_set: Object) -> None:
    stateful_set["status"] = {"replicas": 0, "availableReplicas": 0}
    _drop_unavailable(stateful_set)


def prepare_stateful_set_update(new: Object, old: Object) -> None:
    keep_status(new, old)
    _drop_unavailable(new)


def _drop_unavailable(stateful_set: Object) -> None:
    """v1.36 has it switched off. Whoever said it owns it all the same."""
    strategy = stateful_set["spec"].get("updateStrategy") or {}
    if strategy.get("rollingUpdate"):
        strategy["rollingUpdate"].pop("maxUnavailable", None)


def default_job(job: Object) -> None:
    spec = part(job, "spec")
    default_job_spec(spec)
    _label_job(job)


def _label_job(job: Object) -> None:
    labels = job["spec"]["template"]["metadata"].get("labels")
    if labels:
        fill_zero(part(job, "metadata"), labels=labels)  # the same: what is added to these is added to those


def label_job_again(new: Object, old: Object, now: str) -> None:
    """Who writes a job's status may take its labels away, but for those of its pods."""
    _label_job(new)


def default_job_spec(spec: Object) -> None:
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    per_index = spec.get("backoffLimitPerIndex") is not None
    fill(
        spec,
        parallelism=1,
        backoffLimit=_INT32_MAX if per_index else 6,
        completionMode="NonIndexed",
        suspend=False,
        manualSelector=False,
        podReplacementPolicy="Failed" if spec.get("podFailurePolicy") is not None else "TerminatingOrFailed",
    )
    _default_failure_policy(spec)
    default_pod_template(part(spec, "template"))


def _default_failure_policy(spec: Object) -> None:
    for rule in each(spec.get("podFailurePolicy") or {}, "rules"):
        for pattern in each(rule, "onPodConditions"):
            fill_zero(pattern, status="True")


def prepare_job(job: Object) -> None:
    """Generate the selector: by the job's own uid, so that no two jobs share pods."""
    job["status"] = {}
    spec = job["spec"]
    if spec.get("manualSelector"):
        return
    uid, name = job["metadata"].get("uid", ""), job["metadata"].get("name", "")
    labels = part(spec, "template", "metadata", "labels")
    for key, value in (
        (_LEGACY_JOB_NAME_LABEL, name),
        (_LEGACY_CONTROLLER_UID_LABEL, uid),
        (JOB_NAME_LABEL, name),
        (CONTROLLER_UID_LABEL, uid),
    ):
        labels.setdefault(key, value)
    part(spec, "selector", "matchLabels").setdefault(CONTROLLER_UID_LABEL, uid)
    if not label_value_errors(name):
        fill_zero(job["metadata"], labels=dict(labels))


def default_cron_job(cron_job: Object) -> None:
    spec = part(cron_job, "spec")
    fill_zero(spec, concurrencyPolicy="Allow")
    fill(spec, suspend=False, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1)
    template = part(spec, "jobTemplate")
    part(template, "metadata")
    _default_failure_policy(part(template, "spec"))
    default_pod_template(part(template, "spec", "template"))
