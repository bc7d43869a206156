import asyncio

from kajitori.api.flowcontrol import FLOW_SCHEMA, PRIORITY_LEVEL_CONFIGURATION
from kajitori.apiserver.flow.conditions import DanglingConditions
from kajitori.kit.clock import VirtualClock
from kajitori.testing.objects import FakeObjects

SPEC = {"priorityLevelConfiguration": {"name": "mine"}, "rules": []}


def test_a_schema_says_whether_its_level_exists():
    async def main():
        objects, clock = FakeObjects(), VirtualClock()
        objects.put(FLOW_SCHEMA, {"metadata": {"name": "a"}, "spec": SPEC})
        task = asyncio.create_task(DanglingConditions(objects, clock).run())
        await clock.advance(1)
        dangling = objects.cached(FLOW_SCHEMA, "a")["status"]["conditions"]
        objects.put(PRIORITY_LEVEL_CONFIGURATION, {"metadata": {"name": "mine"}, "spec": {}})
        await clock.advance(10)
        found = objects.cached(FLOW_SCHEMA, "a")["status"]["conditions"]
        writes = objects.writes
        objects.put(PRIORITY_LEVEL_CONFIGURATION, {"metadata": {"name": "other"}, "spec": {}})
        await clock.advance(1)
        assert objects.writes == writes
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return dangling, found

    [dangling], [found] = asyncio.run(main())
    assert (dangling["type"], dangling["status"], dangling["reason"]) == ("Dangling", "True", "NotFound")
    assert found["message"] == (
        'This FlowSchema references the PriorityLevelConfiguration object named "mine" and it exists'
    )
    assert (found["status"], found["reason"]) == ("False", "Found")
    assert found["lastTransitionTime"] > dangling["lastTransitionTime"]
