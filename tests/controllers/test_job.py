from typing import Any

import pytest

from kajitori.api.batch import JOB
from kajitori.api.core import POD
from kajitori.api.meta import condition_of
from kajitori.api.times import timestamp
from kajitori.controllers.job import indexes
from kajitori.controllers.job.controller import JobController, TtlAfterFinishedController
from kajitori.controllers.job.plan import backoff_s, plan
from kajitori.controllers.job.pods import FINALIZER, make_pod
from kajitori.controllers.job.policies import early_success, judge_failure

NOW_S = 1_800_000_000.0


def make_job(**spec: Any) -> dict[str, Any]:
    template = {
        "metadata": {"labels": {"job-name": "work"}},
        "spec": {"restartPolicy": spec.pop("restart", "Never"), "containers": [{"name": "c", "image": "i"}]},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "work", "namespace": "default", "uid": "j1"},
        "spec": {
            "parallelism": 1,
            "completions": 1,
            "backoffLimit": 6,
            "completionMode": "NonIndexed",
            "selector": {"matchLabels": {"job-name": "work"}},
            "template": template,
            **spec,
        },
    }


def pod(
    name: str, phase: str = "Running", *, index: int | None = None, code: int = 1, ended: float = NOW_S, **extra: Any
) -> dict[str, Any]:
    made = make_pod(make_job(**extra.get("job", {})), index, extra.get("failures", 0))
    made["metadata"] |= {"name": name, "uid": name, "creationTimestamp": timestamp(NOW_S - 100)}
    if extra.get("deleting"):
        made["metadata"]["deletionTimestamp"] = timestamp(NOW_S)
    if extra.get("counted"):
        made["metadata"].pop("finalizers")
    state = (
        {}
        if phase == "Running"
        else {"terminated": {"exitCode": code if phase == "Failed" else 0, "finishedAt": timestamp(ended)}}
    )
    made["status"] = {
        "phase": phase,
        "containerStatuses": [{"name": "c", "restartCount": extra.get("restarts", 0), "state": state}],
        "conditions": extra.get("conditions", []),
    }
    return made


@pytest.mark.parametrize(
    ("text", "values"), [("", set()), ("0", {0}), ("0,1", {0, 1}), ("1-3,5,7,8", {1, 2, 3, 5, 7, 8})]
)
def test_index_sets(text: str, values: set[int]) -> None:
    assert indexes.parse(text) == values
    assert indexes.show(values) == text


def test_as_many_pods_as_are_still_needed() -> None:
    assert len(plan(make_job(parallelism=3, completions=5), [], NOW_S).create) == 3
    running = [pod("a"), pod("b")]
    assert len(plan(make_job(parallelism=3, completions=5), running, NOW_S).create) == 1
    done = make_job(parallelism=3, completions=5) | {"status": {"succeeded": 4}}
    assert len(plan(done, [], NOW_S).create) == 1
    fewer = plan(make_job(parallelism=1, completions=5), running, NOW_S)
    assert len(fewer.drop) == 1 and not fewer.create


def test_a_work_queue_makes_no_new_pods_once_one_succeeded() -> None:
    job = make_job(parallelism=3)
    del job["spec"]["completions"]
    assert len(plan(job, [], NOW_S).create) == 3
    assert plan(job, [pod("a", "Succeeded"), pod("b")], NOW_S).create == []
    ended = plan(job, [pod("a", "Succeeded"), pod("b", "Succeeded")], NOW_S)
    assert condition_of({"status": ended.status}, "SuccessCriteriaMet")


def test_a_pod_is_written_down_before_its_finalizer_goes_and_counted_after() -> None:
    job, ended = make_job(), pod("a", "Succeeded")
    first = plan(job, [ended], NOW_S)
    assert first.status["uncountedTerminatedPods"] == {"succeeded": ["a"]}
    assert first.release == [ended]
    assert "succeeded" not in first.status and condition_of({"status": first.status}, "Complete") is None
    second = plan(job | {"status": first.status}, [pod("a", "Succeeded", counted=True)], NOW_S)
    assert second.status["uncountedTerminatedPods"] == {}
    assert second.status["succeeded"] == 1
    complete = condition_of({"status": second.status}, "Complete")
    assert complete is not None and complete["reason"] == "CompletionsReached"
    assert second.status["completionTime"] == timestamp(NOW_S)


def test_a_crash_between_the_steps_counts_once() -> None:
    status = {"uncountedTerminatedPods": {"failed": ["a"]}, "failed": 2, "startTime": timestamp(NOW_S)}
    again = plan(make_job() | {"status": status}, [pod("a", "Failed")], NOW_S)
    assert again.status["failed"] == 2 and again.release
    gone = plan(make_job() | {"status": status}, [], NOW_S)
    assert gone.status["failed"] == 3


def test_failures_beyond_the_limit_fail_the_job_when_all_pods_have_ended() -> None:
    job = make_job(backoffLimit=1, parallelism=2, completions=2)
    pods = [pod("a", "Failed"), pod("b", "Failed"), pod("c")]
    first = plan(job, pods, NOW_S)
    target = condition_of({"status": first.status}, "FailureTarget")
    assert target is not None and target["reason"] == "BackoffLimitExceeded"
    assert first.delete == [pods[2]]
    assert condition_of({"status": first.status}, "Failed") is None
    last = plan(
        job | {"status": first.status}, [pod("a", "Failed", counted=True), pod("b", "Failed", counted=True)], NOW_S
    )
    assert condition_of({"status": last.status}, "Failed")
    assert last.status["failed"] == 2


def test_restarts_in_place_count_against_the_limit() -> None:
    job = make_job(restart="OnFailure", backoffLimit=3)
    assert condition_of({"status": plan(job, [pod("a", restarts=2)], NOW_S).status}, "FailureTarget") is None
    assert condition_of({"status": plan(job, [pod("a", restarts=3)], NOW_S).status}, "FailureTarget")


def test_the_deadline_is_waited_for_and_kept() -> None:
    job = make_job(activeDeadlineSeconds=60) | {"status": {"startTime": timestamp(NOW_S - 20)}}
    assert plan(job, [pod("a")], NOW_S).again_s == 40
    late = plan(job, [pod("a")], NOW_S + 40)
    target = condition_of({"status": late.status}, "FailureTarget")
    assert target is not None and target["reason"] == "DeadlineExceeded" and late.delete


def test_failed_pods_are_replaced_ever_later() -> None:
    pods = [pod("a", "Failed", ended=NOW_S - 100), pod("b", "Failed", ended=NOW_S - 5)]
    assert backoff_s(pods, NOW_S) == 15
    assert backoff_s([*pods, pod("c", "Succeeded", ended=NOW_S)], NOW_S) == 0
    waiting = plan(make_job(), pods, NOW_S)
    assert (waiting.create, waiting.again_s) == ([], 15)


def test_a_pod_on_its_way_out_is_replaced_at_once_unless_the_policy_says_failed() -> None:
    leaving = pod("a", deleting=True)
    assert len(plan(make_job(), [leaving], NOW_S).create) == 1
    patient = plan(make_job(podReplacementPolicy="Failed"), [leaving], NOW_S)
    assert (patient.create, patient.release, patient.status["terminating"]) == ([], [], 1)


def test_suspension_drops_pods_without_counting_them() -> None:
    job = make_job(suspend=True) | {"status": {"startTime": timestamp(NOW_S)}}
    todo = plan(job, [pod("a")], NOW_S)
    assert len(todo.drop) == 1 and "startTime" not in todo.status
    resumed = plan(make_job() | {"status": todo.status}, [], NOW_S + 9)
    suspended = condition_of({"status": resumed.status}, "Suspended")
    assert suspended is not None and suspended["status"] == "False"
    assert resumed.status["startTime"] == timestamp(NOW_S + 9)


def indexed(**spec: Any) -> dict[str, Any]:
    return make_job(completionMode="Indexed", **{"parallelism": 3, "completions": 4, **spec})


def test_indexes_are_filled_from_the_lowest_and_shown_as_ranges() -> None:
    todo = plan(indexed(), [pod("a", index=1), pod("b", "Succeeded", index=0)], NOW_S)
    assert [index for index, _ in todo.create] == [2, 3]
    assert todo.status["completedIndexes"] == "0"
    job = indexed() | {"status": {"completedIndexes": "0-2", "succeeded": 3}}
    done = plan(job, [pod("d", "Succeeded", index=3)], NOW_S)
    assert done.status["completedIndexes"] == "0-3"
    assert condition_of({"status": done.status}, "SuccessCriteriaMet")


def test_a_doubled_index_loses_its_second_pod() -> None:
    assert [p["metadata"]["name"] for p in plan(indexed(), [pod("a", index=0), pod("b", index=0)], NOW_S).drop] == ["b"]


def test_an_index_that_fails_too_often_fails_alone() -> None:
    spec = {
        "completionMode": "Indexed",
        "backoffLimitPerIndex": 1,
        "completions": 2,
        "parallelism": 2,
        "backoffLimit": 99,
    }
    job = make_job(**spec)
    once = plan(job, [pod("a", "Failed", index=0, ended=NOW_S - 60, job=spec), pod("b", index=1, job=spec)], NOW_S)
    assert once.create == [(0, 1)] and once.status["failedIndexes"] == ""
    twice = plan(job, [pod("a", "Failed", index=0, failures=1, job=spec), pod("b", index=1, job=spec)], NOW_S)
    assert twice.status["failedIndexes"] == "0" and twice.create == []
    job["status"] = {"completedIndexes": "1", "failedIndexes": "0"}
    target = condition_of({"status": plan(job, [], NOW_S).status}, "FailureTarget")
    assert target is not None and target["reason"] == "FailedIndexes"


def test_indexed_pods_know_their_index() -> None:
    made = make_pod(indexed(), 3)
    assert made["spec"]["hostname"] == "work-3"
    assert made["metadata"]["generateName"] == "work-3-"
    assert made["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] == "3"
    assert made["spec"]["containers"][0]["env"][0]["name"] == "JOB_COMPLETION_INDEX"


def test_the_pod_failure_policy() -> None:
    rules = [
        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}},
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
    ]
    job = make_job(podFailurePolicy={"rules": rules})
    assert judge_failure(job, pod("a", "Failed", code=1)).action == "Count"
    evicted = pod("a", "Failed", code=1, conditions=[{"type": "DisruptionTarget", "status": "True"}])
    ignored = plan(job, [evicted], NOW_S)
    assert ignored.status["uncountedTerminatedPods"] == {} and ignored.release == [evicted]
    fatal = condition_of({"status": plan(job, [pod("a", "Failed", code=42)], NOW_S).status}, "FailureTarget")
    assert fatal is not None and fatal["reason"] == "PodFailurePolicy"
    assert fatal["message"] == "Container c for pod default/a failed with exit code 42 matching FailJob rule at index 0"


def test_the_success_policy() -> None:
    job = indexed(successPolicy={"rules": [{"succeededIndexes": "0,2-3", "succeededCount": 2}]})
    assert early_success(job, {1, 2}) == ""
    assert early_success(job, {0, 3}) == "Matched rules at index 0"


def test_a_job_runs_to_completion_and_is_deleted_after_its_time_to_live(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(JOB, make_job(parallelism=2, completions=3, ttlSecondsAfterFinished=60))
        await loops.settle()
        assert all(p["metadata"]["finalizers"] == [FINALIZER] for p in loops.api.all(POD))
        for _ in range(4):
            await loops.run_pods()
            for p in loops.api.all(POD):
                if p["status"]["phase"] == "Running":
                    loops.finish(p["metadata"]["name"])
            await loops.settle()
        status = loops.api.one(JOB, "work")["status"]
        assert (status["succeeded"], status["uncountedTerminatedPods"]) == (3, {})
        assert "active" not in status
        assert condition_of({"status": status}, "Complete")
        assert all("finalizers" not in p["metadata"] for p in loops.api.all(POD))
        assert len(loops.api.all(POD)) == 3
        calls = len(loops.api.calls)
        await loops.settle(50)
        assert len(loops.api.calls) == calls
        await loops.settle(20)
        assert "deletionTimestamp" in loops.api.one(JOB, "work")["metadata"]

    loops.run([JobController, TtlAfterFinishedController], scenario)
    assert "Completed: Job completed" in loops.api.events()


def test_a_job_that_keeps_failing_gives_up(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(JOB, make_job(backoffLimit=2))
        for _ in range(8):
            await loops.settle(30)
            await loops.run_pods()
            for p in loops.api.all(POD):
                if p["status"]["phase"] == "Running":
                    loops.finish(p["metadata"]["name"], "Failed", 1)
            await loops.settle()
        job = loops.api.one(JOB, "work")
        failed = condition_of(job, "Failed")
        assert failed is not None and failed["reason"] == "BackoffLimitExceeded"
        assert job["status"]["failed"] == 3 == len(loops.api.all(POD))

    loops.run([JobController], scenario)


def test_pods_of_a_deleted_job_are_let_go(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(JOB, make_job())
        await loops.settle()
        loops.api.remove(JOB, "work")
        await loops.settle()
        assert all("finalizers" not in p["metadata"] for p in loops.api.all(POD))

    loops.run([JobController], scenario)
