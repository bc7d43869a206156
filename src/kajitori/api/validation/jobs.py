"""Jobs and cron jobs."""

from zoneinfo import available_timezones

from kajitori.api.cron import InvalidSchedule, parse_cron
from kajitori.api.field_errors import (
    OMITTED,
    FieldError,
    InOrder,
    duplicate,
    invalid,
    required,
    too_long,
    too_many,
)
from kajitori.api.meta import Object, condition_is
from kajitori.api.schema.internal_shapes import as_shown
from kajitori.api.selectors import label_key_errors
from kajitori.api.validation.checks import (
    Errors,
    domain_prefixed_path,
    each,
    label_selector,
    must,
    not_negative,
    one_of,
    same_as_before,
    unsupported,
)
from kajitori.api.validation.formats import label_errors
from kajitori.api.validation.immutability import unchanged
from kajitori.api.validation.pods import pod_template
from kajitori.api.validation.workloads import labels_match, parsed_selector

_PREFIX = "batch.kubernetes.io/"
_CRON_JOB_NAME_MAX = 52
_INDEXED_PARALLELISM_MAX = 100_000
_MANAGED_BY_BYTES_MAX = 63
_RULES_MAX, _EXIT_CODES_MAX = 20, 255
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_COUNTS = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
)
_IMMUTABLE = ("completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy")
_STRUCTS = {"podFailurePolicy": "batch.PodFailurePolicy", "successPolicy": "batch.SuccessPolicy"}


def validate_job(job: Object) -> list[FieldError]:
    return list(_job(job))


def _job(job: Object) -> Errors:
    spec = job.get("spec") or {}
    yield from job_spec("spec", spec)
    selector = spec.get("selector")
    if selector is None:
        yield required("spec.selector")
    else:
        yield from label_selector("spec.selector", selector)
    parsed = parsed_selector(selector)
    if parsed is not None:
        yield from labels_match("spec.template", spec.get("template") or {}, parsed)
    name, completions = job["metadata"].get("name") or "", spec.get("completions") or 0
    if spec.get("completionMode") == "Indexed" and completions > 0:
        host = f"{name}-{completions - 1}"
        if label_errors(host):
            yield invalid("metadata.name", name, f"will not able to create pod with invalid DNS label: {host}")


def job_spec(path: str, spec: Object) -> Errors:
    for name in _COUNTS:
        yield from not_negative(f"{path}.{name}", spec.get(name))
    if (manager := spec.get("managedBy")) is not None:
        yield from domain_prefixed_path(f"{path}.managedBy", manager)
        if len(manager) > _MANAGED_BY_BYTES_MAX:
            yield too_long(f"{path}.managedBy", manager, _MANAGED_BY_BYTES_MAX)
    yield from _completion_mode(path, spec)
    template = spec.get("template") or {}
    if (policy := spec.get("podFailurePolicy")) is not None:
        yield from _failure_policy(path, policy, spec)
    if (success := spec.get("successPolicy")) is not None:
        yield from _success_policy(f"{path}.successPolicy", success, spec)
    yield from _replacement_policy(path, spec)
    yield from pod_template(f"{path}.template", template)
    at = f"{path}.template.spec.restartPolicy"
    restart = (template.get("spec") or {}).get("restartPolicy") or ""
    if restart in ("", "Always"):
        yield required(at, 'valid values: "OnFailure", "Never"')
    elif restart not in ("OnFailure", "Never"):
        yield unsupported(at, restart, ("OnFailure", "Never"))
    elif restart != "Never" and spec.get("podFailurePolicy") is not None:
        yield invalid(at, restart, 'only "Never" is supported when podFailurePolicy is specified')


def _completion_mode(path: str, spec: Object) -> Errors:
    mode = spec.get("completionMode")
    if mode is None:
        return
    yield from one_of(f"{path}.completionMode", mode, ("NonIndexed", "Indexed"))
    if mode == "Indexed":
        if spec.get("completions") is None:
            yield required(f"{path}.completions", "when completion mode is Indexed")
        if (spec.get("parallelism") or 0) > _INDEXED_PARALLELISM_MAX:
            detail = f"must be less than or equal to {_INDEXED_PARALLELISM_MAX} when completion mode is Indexed"
            yield invalid(f"{path}.parallelism", spec["parallelism"], detail)
    elif mode == "NonIndexed":
        for name in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if spec.get(name) is not None:
                yield invalid(f"{path}.{name}", spec[name], "requires indexed completion mode")


def _replacement_policy(path: str, spec: Object) -> Errors:
    policy = spec.get("podReplacementPolicy")
    if policy is None:
        return
    allowed = ("Failed",) if spec.get("podFailurePolicy") is not None else ("Failed", "TerminatingOrFailed")
    yield from one_of(f"{path}.podReplacementPolicy", policy, allowed)


def _quoted(values: tuple[str, ...]) -> str:
    return "valid values: [" + " ".join(f'"{value}"' for value in values) + "]"


def _failure_policy(path: str, policy: Object, spec: Object) -> Errors:
    at = f"{path}.podFailurePolicy"
    rules = policy.get("rules") or ()
    if len(rules) > _RULES_MAX:
        yield too_many(f"{at}.rules", len(rules), _RULES_MAX)
    pod = (spec.get("template") or {}).get("spec") or {}
    names = {c.get("name") for field in ("containers", "initContainers") for c in pod.get(field) or ()}
    for rule, rule_at in each(policy, "rules", at):
        action = rule.get("action") or ""
        if not action:
            yield required(f"{rule_at}.action", _quoted(_ACTIONS))
        elif action == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
            yield invalid(f"{rule_at}.action", action, "requires the backoffLimitPerIndex to be set")
        else:
            yield from one_of(f"{rule_at}.action", action, _ACTIONS)
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions")
        if codes is not None:
            yield from _exit_codes(f"{rule_at}.onExitCodes", codes, names)
        for pattern, pattern_at in each(rule, "onPodConditions", rule_at):
            yield from _condition_pattern(pattern_at, pattern)
        if codes is not None and conditions:
            yield invalid(rule_at, OMITTED, "specifying both OnExitCodes and OnPodConditions is not supported")
        if codes is None and not conditions:
            yield invalid(rule_at, OMITTED, "specifying one of OnExitCodes and OnPodConditions is required")


def _exit_codes(path: str, codes: Object, containers: set[str | None]) -> Errors:
    operator, values = codes.get("operator") or "", codes.get("values") or []
    if not operator:
        yield required(f"{path}.operator", _quoted(("In", "NotIn")))
    else:
        yield from one_of(f"{path}.operator", operator, ("In", "NotIn"))
    name = codes.get("containerName")
    if name is not None and name not in containers:
        detail = "must be one of the container or initContainer names in the pod template"
        yield invalid(f"{path}.containerName", name, detail)
    if not values:
        yield invalid(f"{path}.values", codes.get("values"), "at least one value is required")
    elif len(values) > _EXIT_CODES_MAX:
        yield too_many(f"{path}.values", len(values), _EXIT_CODES_MAX)
    seen: set[int] = set()
    for index, value in enumerate(values):
        at = f"{path}.values[{index}]"
        if operator == "In" and value == 0:
            yield invalid(at, value, "must not be 0 for the In operator")
        if value in seen:
            yield duplicate(at, value)
        seen.add(value)
    if values != sorted(values):
        yield invalid(f"{path}.values", values, "must be ordered")


def _condition_pattern(path: str, pattern: Object) -> Errors:
    kind, status = pattern.get("type") or "", pattern.get("status") or ""
    yield from must(f"{path}.type", kind, label_key_errors(kind))
    if not status:
        yield required(f"{path}.status", _quoted(("False", "True", "Unknown")))
    else:
        yield from one_of(f"{path}.status", status, ("False", "True", "Unknown"))


def _success_policy(path: str, policy: Object, spec: Object) -> Errors:
    if spec.get("completionMode") != "Indexed":
        shown = [
            InOrder(SucceededIndexes=rule.get("succeededIndexes"), SucceededCount=rule.get("succeededCount"))
            for rule in policy.get("rules") or ()
        ]
        yield invalid(path, InOrder(Rules=shown), "requires indexed completion mode")
        return
    rules = policy.get("rules") or ()
    if not rules:
        yield required(f"{path}.rules", "at least one rules must be specified when the successPolicy is specified")
    if len(rules) > _RULES_MAX:
        yield too_many(f"{path}.rules", len(rules), _RULES_MAX)
    for rule, at in each(policy, "rules", path):
        count, indexes = rule.get("succeededCount"), rule.get("succeededIndexes")
        if count is None and indexes is None:
            yield required(at, "at least one of succeededCount or succeededIndexes must be specified")
        yield from not_negative(f"{at}.succeededCount", count)
        completions = spec.get("completions") or 0
        if count is not None and count > completions:
            detail = f"must be less than or equal to {completions} (the number of specified completions)"
            yield invalid(f"{at}.succeededCount", count, detail)


def revalidate_job(new: Object, old: Object) -> list[FieldError]:
    """Upstream judges the new spec twice, so the causes tell of each error twice."""
    update = _job_update(new["spec"], old["spec"], old.get("status") or {})
    return [*_generated_labels(new, old), *_job(new), *_job(new), *update]


def _generated_labels(new: Object, old: Object) -> Errors:
    """The labels by which the server told this job's pods apart; a job from before the prefixes needs the old two."""
    if new["spec"].get("manualSelector") or not new["spec"].get("selector"):
        return
    labels = ((new["spec"].get("template") or {}).get("metadata") or {}).get("labels") or {}
    had = ((old["spec"].get("template") or {}).get("metadata") or {}).get("labels") or {}
    expected = {"controller-uid": old["metadata"].get("uid") or "", "job-name": new["metadata"]["name"]}
    if all(f"{_PREFIX}{name}" in had for name in expected):
        expected |= {f"{_PREFIX}{name}": value for name, value in expected.items()}
    for name, value in expected.items():
        path, detail = f"spec.template.metadata.labels[{name}]", f"must be '{value}'"
        if name not in labels:
            yield required(path, detail)
        elif labels[name] != value:
            yield invalid(path, labels, detail)
    selector = parsed_selector(new["spec"]["selector"])
    if selector is not None and not selector.matches(expected):
        shown = as_shown("meta.LabelSelector", new["spec"]["selector"])
        yield invalid("spec.selector", shown, "`selector` not auto-generated")


def _job_update(new: Object, old: Object, status: Object) -> Errors:
    yield from _completions_update(new, old)
    yield from unchanged("spec.selector", "meta.LabelSelector", new.get("selector"), old.get("selector"))
    after, before = new.get("template") or {}, old.get("template") or {}
    if _rests(old, status):
        if _without_resources(after) != _without_resources(before):
            yield invalid("spec.template.spec", as_shown("core.PodSpec", after.get("spec") or {}), "field is immutable")
    elif after != before:
        yield invalid("spec.template", as_shown("core.PodTemplateSpec", after), "field is immutable")
    for name in _IMMUTABLE:
        if struct := _STRUCTS.get(name):
            yield from unchanged(f"spec.{name}", struct, new.get(name), old.get(name))
        else:
            yield from same_as_before(f"spec.{name}", new.get(name), old.get(name))


def _completions_update(new: Object, old: Object) -> Errors:
    """An indexed job is elastic: completions and parallelism may change together."""
    after, before = new.get("completions"), old.get("completions")
    if after == before:
        return
    if new.get("completionMode") != "Indexed":
        yield invalid("spec.completions", after, "field is immutable")
    elif after is not None and after != new.get("parallelism"):
        yield invalid("spec.completions", after, "can only be modified in tandem with spec.parallelism")


def _rests(spec: Object, status: Object) -> bool:
    """Suspended, and either not begun or known to have no pods any more."""
    if not spec.get("suspend") or status.get("active"):
        return False
    return not status.get("startTime") or condition_is({"status": status}, "Suspended")


def _without_resources(template: Object) -> Object:
    """What must stay of a resting job's pods: it may be told where to run, and with how much (KEP-2926, KEP-5440)."""
    directives = ("nodeSelector", "affinity", "tolerations", "schedulingGates")
    spec = {k: v for k, v in (template.get("spec") or {}).items() if k not in directives}
    affinity = (template.get("spec") or {}).get("affinity") or {}
    if elsewhere := {k: v for k, v in affinity.items() if k != "nodeAffinity"}:
        spec["affinity"] = elsewhere
    for name in ("containers", "initContainers"):
        spec[name] = [{k: v for k, v in c.items() if k != "resources"} for c in spec.get(name) or ()]
    return spec


def validate_cron_job(cron_job: Object) -> list[FieldError]:
    return list(_cron_job(cron_job))


def _cron_job(cron_job: Object) -> Errors:
    spec, name = cron_job.get("spec") or {}, cron_job["metadata"].get("name") or ""
    schedule, zone = spec.get("schedule") or "", spec.get("timeZone")
    if not schedule:
        yield required("spec.schedule")
    else:
        yield from _schedule("spec.schedule", schedule, zone)
    yield from not_negative("spec.startingDeadlineSeconds", spec.get("startingDeadlineSeconds"))
    policy = spec.get("concurrencyPolicy") or ""
    if not policy:
        yield required("spec.concurrencyPolicy")
    else:
        yield from one_of("spec.concurrencyPolicy", policy, ("Allow", "Forbid", "Replace"))
    if zone is not None:
        yield from _time_zone("spec.timeZone", zone)
    template = (spec.get("jobTemplate") or {}).get("spec") or {}
    yield from job_spec("spec.jobTemplate.spec", template)
    if template.get("manualSelector"):
        yield unsupported("spec.jobTemplate.spec.manualSelector", True, ("nil", "false"))
    for field in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        yield from not_negative(f"spec.{field}", spec.get(field))
    if len(name) > _CRON_JOB_NAME_MAX:
        # Eleven characters for the time that each job's name ends in.
        yield invalid("metadata.name", name, f"must be no more than {_CRON_JOB_NAME_MAX} characters")


def _schedule(path: str, schedule: str, zone: str | None) -> Errors:
    if "TZ" in schedule:
        yield invalid(path, schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead")
        return
    try:
        parse_cron(schedule)
    except InvalidSchedule as error:
        yield invalid(path, schedule, str(error))


def _time_zone(path: str, zone: str) -> Errors:
    if not zone:
        yield invalid(path, zone, "timeZone must be nil or non-empty string")
    elif zone.lower() == "local":
        yield invalid(
            path, zone, "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        )
    elif zone not in available_timezones():
        yield invalid(path, zone, f"unknown time zone {zone}")
