import asyncio
import base64
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from kajitori.api import core
from kajitori.api.errors import BadRequest, InternalError, StatusError
from kajitori.api.registry import Registry
from kajitori.apiserver.admission.plugin import run_mutating
from kajitori.apiserver.admission.scene import Surroundings
from kajitori.apiserver.admission.versions import Versions
from kajitori.apiserver.admission.webhook_calls import CallFailed
from kajitori.apiserver.admission.webhook_configurations import MUTATING, VALIDATING
from kajitori.apiserver.admission.webhooks import MutatingWebhooks, ValidatingWebhooks
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
        self.around = Surroundings(self.objects, EverythingIsAllowed(), registry, Versions(registry), VirtualClock())
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
        response = {"uid": review["request"]["uid"], **self._answers[name](review["request"])}
        return orjson.dumps({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": response})

    def admit(self, *, dry_run: bool = False, **data: str) -> AdmissionRequest:
        obj = {"metadata": {"name": "c", "namespace": "default", "labels": {"app": "x"}}, "data": data}
        request = AdmissionRequest(ADMIN, Operation.CREATE, core.CONFIG_MAP, "default", "c", obj, dry_run=dry_run)

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
