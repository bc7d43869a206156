"""How the controllers of pods, their scaling and their budgets show."""

from kajitori.api.columns.cells import (
    AGE,
    NAME,
    NONE,
    UNKNOWN,
    UNSET,
    at,
    column,
    container_columns,
    joined,
    labels,
    selector_column,
    since,
)
from kajitori.api.conversions.autoscaling import to_v2
from kajitori.api.durations import human_duration, time_since
from kajitori.api.meta import Object, condition_is, controller_of, is_deleting
from kajitori.api.resource import Column
from kajitori.api.times import parse_timestamp


def _ready_of_desired(obj: Object) -> str:
    return f"{at(obj, 'status.readyReplicas', 0)}/{at(obj, 'spec.replicas', 0)}"


DEPLOYMENT = (
    NAME,
    column("Ready", _ready_of_desired),
    column("Up-to-date", "status.updatedReplicas", default=0),
    column("Available", "status.availableReplicas", default=0),
    AGE,
    *container_columns("spec.template"),
    selector_column("spec.selector"),
)

SCALE = (
    NAME,
    column("Desired", "spec.replicas", type="integer", default=0),
    column("Available", "status.replicas", type="integer", default=0),
    AGE,
)

_REPLICAS = (
    NAME,
    column("Desired", "spec.replicas", type="integer", default=0),
    column("Current", "status.replicas", type="integer", default=0),
    column("Ready", "status.readyReplicas", type="integer", default=0),
    AGE,
    *container_columns("spec.template"),
)

REPLICA_SET = (*_REPLICAS, selector_column("spec.selector"))
REPLICATION_CONTROLLER = (*_REPLICAS, column("Selector", lambda obj: labels(at(obj, "spec.selector")), wide=True))

STATEFUL_SET = (NAME, column("Ready", _ready_of_desired), AGE, *container_columns("spec.template"))

DAEMON_SET = (
    NAME,
    column("Desired", "status.desiredNumberScheduled", type="integer", default=0),
    column("Current", "status.currentNumberScheduled", type="integer", default=0),
    column("Ready", "status.numberReady", type="integer", default=0),
    column("Up-to-date", "status.updatedNumberScheduled", type="integer", default=0),
    column("Available", "status.numberAvailable", type="integer", default=0),
    column("Node Selector", lambda obj: labels(at(obj, "spec.template.spec.nodeSelector"))),
    AGE,
    *container_columns("spec.template"),
    selector_column("spec.selector"),
)


def _controller_of_revision(revision: Object) -> str:
    owner = controller_of(revision)
    if owner is None:
        return NONE
    group, slash, _ = owner.get("apiVersion", "").partition("/")
    kind = owner["kind"].lower() + (f".{group}" if slash else "")
    return f"{kind}/{owner['name']}"


CONTROLLER_REVISION = (
    NAME,
    column("Controller", _controller_of_revision),
    column("Revision", "revision", default=0),
    AGE,
)

POD_TEMPLATE = (
    NAME,
    *(Column(name=c.name, cell=c.cell) for c in container_columns("template")),
    column("Pod Labels", lambda obj: labels(at(obj, "template.metadata.labels"))),
)

_JOB_STATES = (
    ("Complete", "Complete"),
    ("Failed", "Failed"),
    ("", "Terminating"),
    ("Suspended", "Suspended"),
    ("FailureTarget", "FailureTarget"),
    ("SuccessCriteriaMet", "SuccessCriteriaMet"),
)


def _job_status(job: Object) -> str:
    for condition, shown in _JOB_STATES:
        if condition_is(job, condition) if condition else is_deleting(job):
            return shown
    return "Running"


def _job_completions(job: Object) -> str:
    succeeded = at(job, "status.succeeded", 0)
    if (completions := at(job, "spec.completions")) is not None:
        return f"{succeeded}/{completions}"
    parallelism = at(job, "spec.parallelism", 0)
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def _job_duration(job: Object, now_s: float) -> str:
    start, end = at(job, "status.startTime"), at(job, "status.completionTime")
    if not start:
        return ""
    if not end:
        return time_since(start, now_s)
    return human_duration(parse_timestamp(end) - parse_timestamp(start))


JOB = (
    NAME,
    column("Status", _job_status),
    column("Completions", _job_completions),
    Column(name="Duration", cell=_job_duration),
    AGE,
    *container_columns("spec.template"),
    selector_column("spec.selector"),
)

CRON_JOB = (
    NAME,
    column("Schedule", "spec.schedule"),
    column("Timezone", "spec.timeZone", default=NONE),
    column("Suspend", lambda obj: str(bool(at(obj, "spec.suspend"))), type="boolean"),
    column("Active", lambda obj: len(at(obj, "status.active", ())), type="integer"),
    since("Last Schedule", "status.lastScheduleTime", absent=NONE),
    AGE,
    *container_columns("spec.jobTemplate.spec.template"),
    selector_column("spec.jobTemplate.spec.selector"),
)

# type of a metric -> the field that describes it, in the spec and in the status
_METRIC_FIELDS = {
    "External": "external",
    "Pods": "pods",
    "Object": "object",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}
_METRICS_SHOWN = 2


def _metric(metric: Object, current: Object) -> str:
    """`current/target` of one metric."""
    kind = metric.get("type", "")
    field = _METRIC_FIELDS.get(kind)
    if field is None:
        return "<unknown type>"
    target = at(metric, f"{field}.target", {})
    now = at(current, f"{field}.current", {})
    if kind in ("Resource", "ContainerResource"):
        name = at(metric, f"{field}.name", "")
        if "averageValue" in target:
            return f"{name}: {now.get('averageValue', UNKNOWN)}/{target['averageValue']}"
        used = now.get("averageUtilization")
        wanted = target.get("averageUtilization")
        shown = f"{used}%" if used is not None else UNKNOWN
        return f"{name}: {shown}/{f'{wanted}%' if wanted is not None else '<auto>'}"
    if kind == "Pods":
        return f"{now.get('averageValue', UNKNOWN)}/{target.get('averageValue', '')}"
    if "averageValue" in target:
        return f"{now.get('averageValue', UNKNOWN)}/{target['averageValue']} (avg)"
    return f"{now.get('value', '<nil>' if field in current else UNKNOWN)}/{target.get('value', '')}"


def _targets(autoscaler: Object) -> str:
    metrics = at(autoscaler, "spec.metrics", ())
    current = at(autoscaler, "status.currentMetrics", ())
    shown = [_metric(metric, current[i] if i < len(current) else {}) for i, metric in enumerate(metrics)]
    text = joined(shown[:_METRICS_SHOWN], separator=", ")
    return f"{text} + {len(shown) - _METRICS_SHOWN} more..." if len(shown) > _METRICS_SHOWN else text


def _scale_target(autoscaler: Object) -> str:
    return f"{at(autoscaler, 'spec.scaleTargetRef.kind', '')}/{at(autoscaler, 'spec.scaleTargetRef.name', '')}"


_AUTOSCALER_SIZES = (
    column("MinPods", lambda obj: str(at(obj, "spec.minReplicas", UNSET))),
    column("MaxPods", "spec.maxReplicas", default=0),
    column("Replicas", "status.currentReplicas", default=0),
    AGE,
)
AUTOSCALER = (NAME, column("Reference", _scale_target), column("Targets", _targets), *_AUTOSCALER_SIZES)
AUTOSCALER_V1 = (
    NAME,
    column("Reference", _scale_target),
    column("Targets", lambda autoscaler: _targets(to_v2(autoscaler))),
    *_AUTOSCALER_SIZES,
)
"""The metrics that version 1 cannot say stand in its annotations."""

DISRUPTION_BUDGET = (
    NAME,
    column("Min Available", lambda obj: str(at(obj, "spec.minAvailable", "N/A"))),
    column("Max Unavailable", lambda obj: str(at(obj, "spec.maxUnavailable", "N/A"))),
    column("Allowed Disruptions", "status.disruptionsAllowed", type="integer", default=0),
    AGE,
)
