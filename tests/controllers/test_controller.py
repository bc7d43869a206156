import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from itertools import pairwise
from typing import Any

import pytest

from kajitori.api.apps import REPLICA_SET
from kajitori.api.core import CONFIG_MAP, POD
from kajitori.api.errors import Conflict, ServiceUnavailable
from kajitori.api.meta import ObjectKey
from kajitori.controllers.batches import in_growing_batches
from kajitori.controllers.controller import Controller, Source, own
from kajitori.controllers.replicaset import ReplicaSetController
from kajitori.controllers.run import ControllerManager


class Counting(Controller):
    name = "counting"
    outcome: Callable[[], float | None] = staticmethod(lambda: None)

    def __init__(self, context: Any) -> None:
        super().__init__(context)
        self.seen: list[tuple[float, ObjectKey]] = []

    def sources(self) -> Iterable[Source]:
        return (own(CONFIG_MAP, changed=lambda new, old: new.get("data") != old.get("data")),)

    async def reconcile(self, key: ObjectKey) -> float | None:
        self.seen.append((self.clock.now(), key))
        return self.outcome()


def counting(outcome: Callable[[], float | None] = lambda: None) -> tuple[list[Counting], Callable[[Any], Counting]]:
    made: list[Counting] = []

    def make(context: Any) -> Counting:
        controller = Counting(context)
        controller.outcome = outcome  # type: ignore[method-assign]
        made.append(controller)
        return controller

    return made, make


CONFIG = {"metadata": {"name": "c", "namespace": "default"}}


def test_events_wake_the_key_and_what_cannot_matter_does_not(loops: Any) -> None:
    made, make = counting()

    async def scenario() -> None:
        loops.api.put(CONFIG_MAP, CONFIG)
        await loops.settle()
        loops.api.edit(CONFIG_MAP, "c", lambda c: c["metadata"].update(labels={"a": "b"}))
        await loops.settle()
        assert len(made[0].seen) == 1
        loops.api.edit(CONFIG_MAP, "c", lambda c: c.update(data={"k": "v"}))
        loops.api.remove(CONFIG_MAP, "c")
        await loops.settle()
        assert made[0].seen[-1][1] == ObjectKey("default", "c")
        assert len(made[0].seen) in (2, 3)

    loops.run([make], scenario)


def test_a_returned_delay_is_kept(loops: Any) -> None:
    made, make = counting(lambda: 60.0)

    async def scenario() -> None:
        loops.api.put(CONFIG_MAP, CONFIG)
        await loops.settle(150)
        moments = [at for at, _ in made[0].seen]
        assert [round(b - a) for a, b in pairwise(moments)] == [60, 60]

    loops.run([make], scenario)


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (Conflict("changed"), None),
        (ServiceUnavailable("no quorum"), logging.WARNING),
        (KeyError("spec"), logging.ERROR),
    ],
)
def test_failures_back_off_and_are_logged_by_kind(
    loops: Any, caplog: pytest.LogCaptureFixture, error: Exception, level: int | None
) -> None:
    def fail() -> float | None:
        raise error

    made, make = counting(fail)

    async def scenario() -> None:
        loops.api.put(CONFIG_MAP, CONFIG)
        await loops.settle(200)
        moments = [at for at, _ in made[0].seen]
        gaps = [b - a for a, b in pairwise(moments)]
        assert gaps[0] < 0.01 and max(gaps) <= 60.01 and len(moments) < 20

    with caplog.at_level(logging.INFO):
        loops.run([make], scenario)
    found = [record for record in caplog.records if record.name == "kajitori.controllers"]
    assert {record.levelno for record in found} == ({level} if level else set())
    assert all("default/c" in record.getMessage() for record in found)


def test_a_stale_cache_never_doubles_creations(loops: Any) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": []}}
    spec = {"replicas": 3, "selector": {"matchLabels": {"a": "b"}}, "template": template}

    async def scenario() -> None:
        loops.api.hold(POD)
        loops.api.put(REPLICA_SET, {"metadata": {"name": "web", "namespace": "default"}, "spec": spec})
        await loops.settle(1)
        for number in range(3):
            loops.api.edit(REPLICA_SET, "web", lambda rs, n=number: rs["metadata"].update(labels={"n": str(n)}))
            await loops.settle(1)
        assert len(loops.api.all(POD)) <= 3
        loops.api.release(POD)
        await loops.settle(1)
        assert len(loops.api.all(POD)) == 3

    loops.run([ReplicaSetController], scenario)


def test_batches_double_until_one_fails() -> None:
    sizes: list[int] = []

    async def act(index: int) -> None:
        sizes.append(index)
        if index == 5:
            raise ServiceUnavailable("full")

    done, error = asyncio.run(in_growing_batches(20, act))
    assert (done, sizes, str(error)) == (6, list(range(7)), "full")
    assert asyncio.run(in_growing_batches(0, act)) == (0, None)


def test_loops_wait_for_leadership_while_caches_are_warm(loops: Any) -> None:
    made, make = counting()
    won = asyncio.Event()

    async def lead(work: Callable[[], Awaitable[None]]) -> None:
        await won.wait()
        await work()

    async def main() -> None:
        manager = ControllerManager(loops.api, loops.clock, [make], lead=lead)
        task = asyncio.ensure_future(manager.run())
        loops.api.put(CONFIG_MAP, CONFIG)
        await loops.settle()
        assert made[0].seen == [] and len(made[0].context.informer(CONFIG_MAP).list()) == 1
        won.set()
        await loops.settle()
        assert len(made[0].seen) == 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
