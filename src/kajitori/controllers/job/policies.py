"""What a Job's own rules say about failed pods (KEP-3329) and about early success (KEP-3998). Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from kajitori.api.meta import Object, condition_of, key_of
from kajitori.controllers.job import indexes

COUNT, IGNORE, FAIL_JOB, FAIL_INDEX = "Count", "Ignore", "FailJob", "FailIndex"


@dataclass(frozen=True, slots=True)
class FailureMatch:
    action: str
    message: str = ""


def judge_failure(job: Object, pod: Object) -> FailureMatch:
    """The first rule that matches a failed pod; Count when none does."""
    for number, rule in enumerate((job["spec"].get("podFailurePolicy") or {}).get("rules") or ()):
        message = _match(rule, pod)
        if message:
            return FailureMatch(rule["action"], f"{message} matching {rule['action']} rule at index {number}")
    return FailureMatch(COUNT)


def _match(rule: Object, pod: Object) -> str:
    if rule.get("onExitCodes"):
        return _match_exit_codes(rule["onExitCodes"], pod)
    for wanted in rule.get("onPodConditions") or ():
        condition = condition_of(pod, wanted["type"])
        if condition is not None and condition["status"] == (wanted.get("status") or "True"):
            return f"Pod {key_of(pod)} has condition {wanted['type']}"
    return ""


def _match_exit_codes(requirement: Object, pod: Object) -> str:
    status = pod.get("status") or {}
    values = set(requirement["values"])
    for container in [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]:
        if requirement.get("containerName") not in (None, container["name"]):
            continue
        terminated = (container.get("state") or {}).get("terminated")
        if not terminated or terminated["exitCode"] == 0:
            continue
        if (terminated["exitCode"] in values) == (requirement["operator"] == "In"):
            code = terminated["exitCode"]
            return f"Container {container['name']} for pod {key_of(pod)} failed with exit code {code}"
    return ""


def early_success(job: Object, succeeded: Iterable[int]) -> str:
    """What the success policy says, "" while no rule is met."""
    done = set(succeeded)
    for number, rule in enumerate((job["spec"].get("successPolicy") or {}).get("rules") or ()):
        wanted = rule.get("succeededIndexes")
        matching = done & indexes.parse(wanted) if wanted else done
        needed = rule.get("succeededCount")
        if needed is None:
            needed = len(indexes.parse(wanted or ""))
        if matching and len(matching) >= needed:
            return f"Matched rules at index {number}"
    return ""
