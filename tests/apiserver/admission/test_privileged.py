"""--allow-privileged=false, and plugins that are switched off."""

import asyncio
from typing import Any

import pytest

from kajitori.api import apps, batch, core
from kajitori.api.errors import Invalid
from kajitori.api.resource import Resource
from kajitori.apiserver.admission.plugin import Chain, Plugin
from kajitori.apiserver.admission.privileged import PrivilegedContainers
from kajitori.apiserver.interfaces import AdmissionRequest, Operation
from kajitori.testing.requests import ADMIN

PRIVILEGED = {"name": "c", "securityContext": {"privileged": True}}
PLAIN = {"name": "c", "securityContext": {"privileged": False}}


def admit(
    resource: Resource, obj: dict[str, Any], operation: Operation = Operation.CREATE, subresource: str = ""
) -> None:
    obj = {"metadata": {"name": "x", "namespace": "default"}, **obj}
    old = None if operation is Operation.CREATE else obj
    asked = AdmissionRequest(ADMIN, operation, resource, "default", "x", obj, old, subresource)
    asyncio.run(PrivilegedContainers().validate(asked))


@pytest.mark.parametrize(
    ("resource", "around"),
    [
        (core.POD, "spec"),
        (apps.DEPLOYMENT, "spec.template.spec"),
        (batch.CRON_JOB, "spec.jobTemplate.spec.template.spec"),
    ],
)
@pytest.mark.parametrize("field", ["containers", "initContainers", "ephemeralContainers"])
def test_a_privileged_container_is_a_mistake_of_the_document(resource: Resource, around: str, field: str) -> None:
    def wrapped(container: dict[str, Any]) -> dict[str, Any]:
        inner: dict[str, Any] = {field: [PLAIN, container]}
        for step in reversed(around.split(".")):
            inner = {step: inner}
        return inner

    admit(resource, wrapped(PLAIN))
    with pytest.raises(Invalid) as caught:
        admit(resource, wrapped(PRIVILEGED))
    assert caught.value.status()["details"]["causes"] == [
        {
            "reason": "FieldValueForbidden",
            "message": "Forbidden: disallowed by cluster policy",
            "field": f"{around}.{field}[1].securityContext.privileged",
        }
    ]


def test_what_runs_already_may_be_updated_but_gets_no_privileged_debugger() -> None:
    admit(core.POD, {"spec": {"containers": [PRIVILEGED]}}, Operation.UPDATE)
    admit(core.POD, {"spec": {"containers": [PRIVILEGED]}}, Operation.UPDATE, "status")
    with pytest.raises(Invalid):
        admit(core.POD, {"spec": {"ephemeralContainers": [PRIVILEGED]}}, Operation.UPDATE, "ephemeralcontainers")


class First(Plugin): ...


class Second(Plugin): ...


def test_a_chain_leaves_out_what_is_switched_off() -> None:
    chain = Chain([First(), Second()])
    assert chain.configured((), ("First",)).names == ["Second"]
    assert chain.configured(("First",), (), [PrivilegedContainers()]).names == [
        "First",
        "Second",
        "PrivilegedContainers",
    ]
