"""Every write is counted; plugins are timed one by one where that costs next to nothing."""

import asyncio

import pytest

from kajitori.api import core
from kajitori.api.errors import Forbidden
from kajitori.apiserver.admission.figures import AdmissionFigures
from kajitori.apiserver.admission.plugin import Chain, Plugin
from kajitori.apiserver.admission.pod_security import PodSecurity
from kajitori.apiserver.exposition import exposition
from kajitori.apiserver.interfaces import ANONYMOUS, AdmissionRequest, Operation
from kajitori.kit.clock import VirtualClock
from kajitori.testing.objects import FakeObjects

STEP, PLUGIN = (
    "apiserver_admission_step_admission_duration_seconds",
    ("apiserver_admission_controller_admission_duration_seconds"),
)


class Slow(Plugin):
    """Takes its time in both halves."""

    def __init__(self, clock: VirtualClock, takes_s: float) -> None:
        self.clock = clock
        self.takes_s = takes_s

    async def mutate(self, request: AdmissionRequest) -> None:
        self.clock._now_s += self.takes_s

    async def validate(self, request: AdmissionRequest) -> None:
        self.clock._now_s += self.takes_s


class Refusing(Plugin):
    async def validate(self, request: AdmissionRequest) -> None:
        raise Forbidden("no")


def write(operation: Operation = Operation.CREATE) -> AdmissionRequest:
    return AdmissionRequest(ANONYMOUS, operation, core.CONFIG_MAP, "default", "a", {"metadata": {"name": "a"}})


def shown(figures: AdmissionFigures) -> dict[str, float]:
    lines = exposition(figures.families, False).decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def labels(kind: str, rejected: str = "false", operation: str = "CREATE") -> str:
    return f'type="{kind}",operation="{operation}",rejected="{rejected}"'


def test_steps_and_plugins_have_upstreams_names_and_times() -> None:
    clock = VirtualClock()
    figures = AdmissionFigures(clock.monotonic)
    chain = Chain([Slow(clock, 0.02)], figures.steps)

    async def scenario() -> None:
        for _ in range(3):
            await chain.mutate(write())
            await chain.validate(write())

    asyncio.run(scenario())
    found = shown(figures)
    for kind in ("admit", "validate"):
        assert found[f"{STEP}_count{{{labels(kind)}}}"] == 3
        assert found[f"{STEP}_sum{{{labels(kind)}}}"] == pytest.approx(0.06)
        assert found[f'{PLUGIN}_bucket{{name="Slow",{labels(kind)},le="0.025"}}'] == 3
        assert found[f'{PLUGIN}_bucket{{name="Slow",{labels(kind)},le="0.005"}}'] == 0


def test_a_write_that_is_timed_stands_for_those_before_it() -> None:
    clock = VirtualClock()
    figures = AdmissionFigures(clock.monotonic)
    chain = Chain([Slow(clock, 0.001)], figures.steps)

    async def scenario() -> None:
        for _ in range(100):
            await chain.validate(write())

    asyncio.run(scenario())
    found = shown(figures)
    assert found[f"{STEP}_count{{{labels('validate')}}}"] == 100
    assert 80 < found[f'{PLUGIN}_count{{name="Slow",{labels("validate")}}}'] <= 100


def test_refusals_are_counted_each() -> None:
    clock = VirtualClock()
    figures = AdmissionFigures(clock.monotonic)
    chain = Chain([Slow(clock, 0.0), Refusing()], figures.steps)

    async def scenario() -> None:
        for _ in range(5):
            with pytest.raises(Forbidden):
                await chain.validate(write(Operation.UPDATE))

    asyncio.run(scenario())
    found = shown(figures)
    assert found[f"{STEP}_count{{{labels('validate', 'true', 'UPDATE')}}}"] == 5
    assert found[f'{PLUGIN}_count{{name="Refusing",{labels("validate", "true", "UPDATE")}}}'] == 5


def test_pods_judged_by_the_standards_are_counted() -> None:
    figures, objects = AdmissionFigures(VirtualClock().monotonic), FakeObjects()
    labelled = {"pod-security.kubernetes.io/enforce": "baseline", "pod-security.kubernetes.io/warn": "restricted"}
    objects.put(core.NAMESPACE, {"metadata": {"name": "strict", "labels": labelled}})
    objects.put(core.NAMESPACE, {"metadata": {"name": "open"}})
    plugin = PodSecurity(objects, figures)

    async def create(namespace: str, **spec: object) -> None:
        pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}
        await plugin.validate(AdmissionRequest(ANONYMOUS, Operation.CREATE, core.POD, namespace, "p", pod))

    asyncio.run(create("open", hostNetwork=True))
    asyncio.run(create("strict"))
    with pytest.raises(Forbidden):
        asyncio.run(create("strict", hostNetwork=True))
    found = shown(figures)

    def count(decision: str, level: str, mode: str) -> float:
        about = 'request_operation="create",resource="pod",subresource=""'
        levels = f'policy_level="{level}",policy_version="latest",mode="{mode}"'
        return found.get(f'pod_security_evaluations_total{{decision="{decision}",{levels},{about}}}', 0)

    assert count("allow", "privileged", "enforce") == 1
    assert (count("allow", "baseline", "enforce"), count("deny", "baseline", "enforce")) == (1, 1)
    assert count("deny", "restricted", "warn") == 1
