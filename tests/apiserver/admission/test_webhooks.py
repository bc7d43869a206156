import asyncio
import base64
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from kajitori.api import autoscaling, core
from kajitori.api.errors import BadRequest, Forbidden, InternalError, StatusError, Timeout
from kajitori.api.registry import Registry
from kajitori.apiserver.admission.plugin import run_mutating
from kajitori.apiserver.admission.scene import Surroundings
from kajitori.apiserver.admission.versions import Versions
from kajitori.apiserver.admission.webhook_calls import CallFailed
from kajitori.apiserver.admission.webhook_configurations import MUTATING, VALIDATING
from kajitori.apiserver.admission.webhooks import MutatingWebhooks, ValidatingWebhooks
from kajitori.apiserver.exposition import exposition
from kajitori.apiserver.extension import EverythingIsAllowed
from kajitori.apiserver.interfaces import AdmissionRequest, Operation
from kajitori.kit.clock import VirtualClock
from kajitori.testing.objects import FakeObjects
from kajitori.testing.requests import ADMIN

Answer = Callable[[dict[str, Any]], dict[str, Any]]
RULE = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "scope": "*"}


class World:
    """Webhooks whose services are functions from the request to the response."""

    def __init__(self) -> None:
        self.objects = FakeObjects()
        self.objects.put(core.NAMESPACE, {"metadata": {"name": "default", "labels": {"team": "a"}}})
        registry = Registry()
        self.clock = VirtualClock()
        self.around = Surroundings(self.objects, EverythingIsAllowed(), registry, Versions(registry), self.clock)
        self.timeouts: list[float] = []
        self.versions: list[str] = []
        self.asked: list[str] = []
        self._answers: dict[str, Answer] = {}

    def webhook(self, name: str, answer: Answer, *, mutating: bool = False, **fields: Any) -> None:
        self._answers[name] = answer
        webhook = {
            "name": name,
            "rules": [RULE],
            "clientConfig": {"url": name},
            "sideEffects": "None",
            "failurePolicy": "Fail",
            "admissionReviewVersions": ["v1"],
            **fields,
        }
        self.objects.put(MUTATING if mutating else VALIDATING, {"metadata": {"name": name}, "webhooks": [webhook]})

    async def call(self, client_config: dict[str, Any], body: bytes, timeout_s: float) -> bytes:
        name, review = client_config["url"], orjson.loads(body)
        self.asked.append(name)
        self.timeouts.append(timeout_s)
        self.versions.append(review["apiVersion"])
        response = {"uid": review["request"]["uid"], **self._answers[name](review["request"])}
        return orjson.dumps({"kind": "AdmissionReview", "apiVersion": review["apiVersion"], "response": response})

    def admit(self, *, dry_run: bool = False, timeout: str = "", **data: str) -> AdmissionRequest:
        obj = {"metadata": {"name": "c", "namespace": "default", "labels": {"app": "x"}}, "data": data}
        request = AdmissionRequest(ADMIN, Operation.CREATE, core.CONFIG_MAP, "default", "c", obj, dry_run=dry_run)
        request.timeout = timeout
        return self.run(request)

    def run(self, request: AdmissionRequest) -> AdmissionRequest:
        async def run() -> None:
            await run_mutating([MutatingWebhooks(self.around, self)], request)
            await ValidatingWebhooks(self.around, self).validate(request)

        asyncio.run(run())
        return request


def patched(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"allowed": True, "patchType": "JSONPatch", "patch": base64.b64encode(orjson.dumps(operations)).decode()}


def allow(request: dict[str, Any]) -> dict[str, Any]:
    return {"allowed": True}


def set_stage(value: str) -> Answer:
    return lambda request: patched({"op": "add", "path": "/data/stage", "value": value})


def test_mutating_webhooks_change_the_object_in_order() -> None:
    world = World()
    world.webhook("b.example.com", set_stage("second"), mutating=True)
    world.webhook("a.example.com", set_stage("first"), mutating=True)
    request = world.admit()
    assert world.asked == ["a.example.com", "b.example.com"]
    assert request.object is not None
    assert request.object["data"] == {"stage": "second"}


def test_who_wants_to_see_later_changes_is_asked_again() -> None:
    world = World()
    world.webhook("a.example.com", allow, mutating=True, reinvocationPolicy="IfNeeded")
    world.webhook("b.example.com", set_stage("x"), mutating=True, reinvocationPolicy="IfNeeded")
    world.admit()
    assert world.asked == ["a.example.com", "b.example.com", "a.example.com"]


def test_a_denial_carries_the_webhooks_words_and_code() -> None:
    world = World()
    world.webhook("no.example.com", lambda _: {"allowed": False, "status": {"message": "not today", "code": 418}})
    with pytest.raises(StatusError) as refused:
        world.admit()
    assert refused.value.message == 'admission webhook "no.example.com" denied the request: not today'
    assert refused.value.status_code == 418
    world = World()
    world.webhook("no.example.com", lambda _: {"allowed": False})
    with pytest.raises(StatusError, match="denied the request without explanation") as refused:
        world.admit()
    assert refused.value.status_code == 400


def test_a_denial_may_have_details_and_metadata() -> None:
    world = World()
    status = {"metadata": {"continue": "c", "odd": 1}, "details": {"name": "n", "odd": 1, "causes": [{"field": "f"}]}}
    world.webhook("no.example.com", lambda _: {"allowed": False, "status": status})
    with pytest.raises(StatusError) as refused:
        world.admit()
    assert refused.value.status()["metadata"] == {"continue": "c"}
    assert refused.value.status()["details"] == {"name": "n", "causes": [{"field": "f"}]}


def test_what_it_is_asked_and_what_it_warns_of() -> None:
    world = World()
    seen: list[dict[str, Any]] = []

    def look(request: dict[str, Any]) -> dict[str, Any]:
        seen.append(request)
        return {"allowed": True, "warnings": ["careful"]}

    world.webhook("look.example.com", look)
    assert world.admit(a="b").warnings == ["careful"]
    (request,) = seen
    assert request["operation"] == "CREATE"
    assert request["resource"] == {"group": "", "version": "v1", "resource": "configmaps"}
    assert request["object"]["kind"] == "ConfigMap"
    assert request["userInfo"]["username"] == "kubernetes-admin"
    assert request["oldObject"] is None


def test_a_failing_webhook_refuses_unless_it_may_be_ignored() -> None:
    def fail(request: dict[str, Any]) -> dict[str, Any]:
        raise CallFailed("connection refused")

    world = World()
    world.webhook("gone.example.com", fail)
    with pytest.raises(InternalError, match=r'failed calling webhook "gone\.example\.com": failed to call webhook'):
        world.admit()
    world = World()
    world.webhook("gone.example.com", fail, failurePolicy="Ignore")
    world.admit()


def test_rules_and_selectors_choose_the_requests() -> None:
    world = World()
    world.webhook("pods.example.com", allow, rules=[{**RULE, "resources": ["pods"]}])
    world.webhook("update.example.com", allow, rules=[{**RULE, "operations": ["UPDATE"]}])
    world.webhook("cluster.example.com", allow, rules=[{**RULE, "scope": "Cluster"}])
    world.webhook("other.example.com", allow, namespaceSelector={"matchLabels": {"team": "b"}})
    world.webhook("label.example.com", allow, objectSelector={"matchLabels": {"app": "y"}})
    world.webhook(
        "yes.example.com", allow, objectSelector={"matchLabels": {"app": "x"}}, rules=[{**RULE, "resources": ["*"]}]
    )
    world.admit()
    assert world.asked == ["yes.example.com"]


def test_a_webhook_with_side_effects_is_not_asked_in_a_dry_run() -> None:
    world = World()
    world.webhook("a.example.com", allow, sideEffects="Some")
    with pytest.raises(BadRequest, match="does not support dry run"):
        world.admit(dry_run=True)
    assert world.asked == []


SCALER = {
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {
        "maxReplicas": 3,
        "scaleTargetRef": {"kind": "Deployment", "name": "web"},
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 40}},
            }
        ],
    },
}
SCALERS_V1 = {**RULE, "apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"]}


def scaler_request() -> AdmissionRequest:
    scaler = orjson.loads(orjson.dumps(SCALER))
    return AdmissionRequest(ADMIN, Operation.CREATE, autoscaling.HORIZONTAL_POD_AUTOSCALER, "default", "web", scaler)


def test_a_rule_for_another_version_gets_that_version_and_may_change_it() -> None:
    seen: list[dict[str, Any]] = []

    def look(request: dict[str, Any]) -> dict[str, Any]:
        seen.append(request)
        return patched({"op": "replace", "path": "/spec/targetCPUUtilizationPercentage", "value": 60})

    world = World()
    world.webhook("a.example.com", look, mutating=True, rules=[SCALERS_V1], matchPolicy="Equivalent")
    world.webhook("b.example.com", allow, mutating=True, rules=[SCALERS_V1], matchPolicy="Exact")
    request = world.run(scaler_request())
    assert world.asked == ["a.example.com"]
    assert seen[0]["kind"]["version"] == "v1"
    assert seen[0]["requestKind"]["version"] == "v2"
    assert seen[0]["object"]["apiVersion"] == "autoscaling/v1"
    assert seen[0]["object"]["spec"]["targetCPUUtilizationPercentage"] == 40
    assert request.object is not None
    assert request.object["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 60


def test_the_first_review_version_that_both_know_is_spoken() -> None:
    def answer(request: dict[str, Any]) -> dict[str, Any]:
        return {**set_stage("x")(request), "uid": "another", "patchType": None}

    world = World()
    world.webhook("a.example.com", answer, mutating=True, admissionReviewVersions=["v9", "v1beta1", "v1"])
    request = world.admit()
    assert world.versions == ["admission.k8s.io/v1beta1"]
    assert request.object is not None
    assert request.object["data"] == {"stage": "x"}
    world = World()
    world.webhook("a.example.com", answer, mutating=True, admissionReviewVersions=["v9"])
    with pytest.raises(InternalError, match="does not accept known AdmissionReview versions"):
        world.admit()


@pytest.mark.parametrize(
    ("answer", "mutating", "why"),
    [
        ({"uid": "other"}, True, 'expected response.uid="'),
        ({"patch": "W10="}, True, "webhook returned response.patch but not response.patchType"),
        ({"patchType": "JSONPatch"}, True, "webhook returned response.patchType but not response.patch"),
        ({"patchType": "", "patch": "W10="}, True, 'webhook returned invalid response.patchType of ""'),
        ({"patchType": "Merge", "patch": "W3sib3AiOiJhZGQifV0="}, True, 'unsupported patch type "Merge"'),
        ({"patch": "W10="}, False, "validating webhook may not return response.patch"),
        ({"patchType": "JSONPatch"}, False, "validating webhook may not return response.patchType"),
    ],
)
def test_answers_that_are_none_count_as_failures(answer: dict[str, Any], mutating: bool, why: str) -> None:
    world = World()
    world.webhook("a.example.com", lambda _: {"allowed": True, **answer}, mutating=mutating)
    with pytest.raises(InternalError) as refused:
        world.admit()
    assert refused.value.message.startswith('Internal error occurred: failed calling webhook "a.example.com": ')
    assert why in refused.value.message
    world = World()
    world.webhook("a.example.com", lambda _: {"allowed": True, **answer}, mutating=mutating, failurePolicy="Ignore")
    request = world.admit()
    assert "a.example.com" in [value for key, value in request.annotations.items() if key.startswith("failed-open.")]


def test_a_patch_that_does_not_apply_is_never_forgiven() -> None:
    world = World()
    world.webhook(
        "a.example.com",
        lambda _: patched({"op": "remove", "path": "/data/nothing"}),
        mutating=True,
        failurePolicy="Ignore",
    )
    with pytest.raises(InternalError):
        world.admit()


def test_a_deletion_cannot_be_changed() -> None:
    world = World()
    rule = {**RULE, "operations": ["DELETE"]}
    world.webhook("a.example.com", set_stage("x"), mutating=True, rules=[rule])
    old = {"metadata": {"name": "c", "namespace": "default"}}
    with pytest.raises(InternalError, match="attempted to modify the object, which is not supported"):
        world.run(AdmissionRequest(ADMIN, Operation.DELETE, core.CONFIG_MAP, "default", "c", None, old))


def test_nobody_is_called_for_the_first_time_in_the_second_round() -> None:
    labelled = {"matchLabels": {"new": "yes"}}
    add = patched({"op": "add", "path": "/metadata/labels/new", "value": "yes"})
    world = World()
    world.webhook("a.example.com", allow, mutating=True, reinvocationPolicy="IfNeeded", objectSelector=labelled)
    world.webhook("b.example.com", lambda _: add, mutating=True)
    world.admit()
    assert world.asked == ["b.example.com"]


def test_who_was_called_last_is_not_called_again_for_its_own_change() -> None:
    world = World()
    world.webhook("a.example.com", allow, mutating=True)
    world.webhook("b.example.com", set_stage("x"), mutating=True, reinvocationPolicy="IfNeeded")
    request = world.admit()
    assert world.asked == ["a.example.com", "b.example.com"]
    noted = {key: value for key, value in request.annotations.items() if key.startswith("mutation.")}
    assert noted["mutation.webhook.admission.k8s.io/round_0_index_1"] == (
        '{"configuration":"b.example.com","webhook":"b.example.com","mutated":true}'
    )
    assert orjson.loads(request.annotations["patch.webhook.admission.k8s.io/round_0_index_1"]) == {
        "configuration": "b.example.com",
        "webhook": "b.example.com",
        "patch": [{"op": "add", "path": "/data/stage", "value": "x"}],
        "patchType": "JSONPatch",
    }


def test_match_conditions_choose_the_requests() -> None:
    def condition(expression: str) -> list[dict[str, str]]:
        return [{"name": "x", "expression": expression}]

    world = World()
    world.webhook("a.example.com", allow, matchConditions=condition("object.metadata.name == 'c'"))
    world.webhook("b.example.com", allow, matchConditions=condition("object.metadata.name != 'c'"), mutating=True)
    world.webhook("c.example.com", allow, matchConditions=condition("object.nothing"), failurePolicy="Ignore")
    world.admit()
    assert world.asked == ["a.example.com"]
    world.webhook("d.example.com", allow, matchConditions=condition("object.nothing == 1"))
    with pytest.raises(Forbidden, match=r'configmaps "c" is forbidden: .* resulted in error: no such key: nothing'):
        world.admit()
    unnamed = AdmissionRequest(ADMIN, Operation.CREATE, core.CONFIG_MAP, "default", "", {"metadata": {}})
    with pytest.raises(Forbidden, match=r"^configmaps is forbidden: "):
        world.run(unnamed)


def test_a_webhook_is_told_how_long_the_request_may_still_take() -> None:
    world = World()
    world.webhook("a.example.com", allow, timeoutSeconds=30)
    world.admit(timeout="3s")
    world.admit(timeout="9m")
    world.admit()
    assert world.timeouts == [3.0, 30, 30]


def test_the_end_of_the_request_is_told_from_the_end_of_a_call() -> None:
    world = World()

    def slow(request: dict[str, Any]) -> dict[str, Any]:
        world.clock._now_s += 5
        raise CallFailed("context deadline exceeded")

    world.webhook("a.example.com", slow, mutating=True, failurePolicy="Ignore")
    world.admit()
    with pytest.raises(Timeout, match="request did not complete within requested timeout"):
        world.admit(timeout="4s")


def test_webhooks_have_no_say_in_webhooks() -> None:
    world = World()
    everything = {**RULE, "operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"]}
    world.webhook("a.example.com", lambda _: {"allowed": False}, rules=[everything])
    configuration = {"metadata": {"name": "a"}}
    world.run(AdmissionRequest(ADMIN, Operation.CREATE, VALIDATING, "", "a", configuration))
    assert world.asked == []


def shown(world: World) -> str:
    return exposition(world.around.figures.families, open_metrics=False).decode()


def test_answers_denials_and_failures_are_counted_under_upstreams_names() -> None:
    world = World()
    world.webhook("a.example.com", allow, mutating=True)
    world.webhook("b.example.com", lambda request: {"allowed": False, "status": {"code": 999}})
    with pytest.raises(StatusError):
        world.admit()
    text, prefix = shown(world), "apiserver_admission_webhook_"
    a, b = 'name="a.example.com",type="admit"', 'name="b.example.com",type="validating"'
    for line in (
        f'{prefix}request_total{{{a},operation="CREATE",code="200",rejected="false"}} 1',
        f'{prefix}request_total{{{b},operation="CREATE",code="600",rejected="true"}} 1',
        f'{prefix}rejection_count{{{b},operation="CREATE",error_type="no_error",rejection_code="600"}} 1',
        f'{prefix}admission_duration_seconds_count{{{b},operation="CREATE",rejected="true"}} 1',
    ):
        assert line in text


@pytest.mark.parametrize(
    ("policy", "line"),
    [
        ("Ignore", 'fail_open_count{name="a.example.com",type="admit"} 1'),
        ("Fail", 'error_type="calling_webhook_error",rejection_code="503"} 1'),
    ],
)
def test_a_webhook_that_cannot_be_asked_is_counted_by_what_its_failure_means(policy: str, line: str) -> None:
    def unreachable(request: dict[str, Any]) -> dict[str, Any]:
        raise CallFailed("nobody there")

    world = World()
    world.webhook("a.example.com", unreachable, mutating=True, failurePolicy=policy)
    if policy == "Ignore":
        world.admit()
    else:
        with pytest.raises(InternalError):
            world.admit()
    assert line in shown(world)


def test_a_patch_that_cannot_be_applied_counts_as_the_servers_refusal() -> None:
    world = World()
    broken = patched({"op": "remove", "path": "/data/absent"})
    world.webhook("a.example.com", lambda request: broken, mutating=True)
    with pytest.raises(InternalError):
        world.admit()
    assert 'error_type="apiserver_internal_error",rejection_code="0"} 1' in shown(world)
