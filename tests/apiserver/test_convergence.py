"""Whoever lists once and then watches has, in the end, what a list shows: for every selection, whatever happened."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from kajitori.api.core import CONFIG_MAP
from kajitori.api.errors import AlreadyExists, NotFound
from kajitori.testing.cluster import ControlPlane

NAMES = st.sampled_from(["a", "b", "c"])
LABELS = st.dictionaries(st.sampled_from(["x", "y"]), st.sampled_from(["1", "2"]), max_size=2)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["create", "label", "delete"]), NAMES, st.sampled_from(["default", "kube-system"]), LABELS
    )
    | st.tuples(st.just("settle"), NAMES, st.just(""), LABELS),
    max_size=25,
)
SELECTIONS = [
    {},
    {"namespace": "default"},
    {"label_selector": "x=1"},
    {"label_selector": "x,y!=2", "namespace": "default"},
    {"field_selector": "metadata.name=a"},
    {"field_selector": "metadata.name!=a", "label_selector": "!y"},
]


def identity(obj):
    metadata = obj["metadata"]
    return metadata["namespace"], metadata["name"]


class Follower:
    """A list, then a watch; also checks that revisions only grow."""

    def __init__(self, client, selection):
        self.client = client
        self.selection = dict(selection)
        self.namespace = self.selection.pop("namespace", None)
        self.held = {}

    async def run(self):
        listed = await self.client.list(CONFIG_MAP, self.namespace, **self.selection)
        self.held = {identity(obj): obj for obj in listed.items}
        last = int(listed.resource_version)
        watch = self.client.watch(
            CONFIG_MAP, self.namespace, resource_version=listed.resource_version, **self.selection
        )
        async for event in watch:
            revision = int(event.object["metadata"]["resourceVersion"])
            assert revision >= last if event.type == "BOOKMARK" else revision > last
            last = revision
            key = identity(event.object) if event.type != "BOOKMARK" else None
            if event.type == "ADDED":
                assert key not in self.held
                self.held[key] = event.object
            elif event.type == "MODIFIED":
                assert key in self.held
                self.held[key] = event.object
            elif event.type == "DELETED":
                del self.held[key]


async def act(plane, action, name, namespace, labels):
    if action == "settle":
        await plane.settle()
    elif action == "create":
        await plane.client.create(CONFIG_MAP, {"metadata": {"name": name, "namespace": namespace, "labels": labels}})
    elif action == "label":
        patch = {"metadata": {"labels": {"x": None, "y": None} | labels}}
        await plane.client.patch(CONFIG_MAP, name, patch, namespace)
    else:
        await plane.client.delete(CONFIG_MAP, name, namespace)


@settings(deadline=None, max_examples=60)
@given(STEPS, st.integers(0, 25))
def test_list_and_watch_converge_for_every_selection(steps, late):
    async def main():
        async with ControlPlane() as plane:
            followers, tasks = [], []

            def follow():
                for selection in SELECTIONS:
                    followers.append(Follower(plane.client, selection))
                    tasks.append(asyncio.create_task(followers[-1].run()))

            follow()
            for index, step in enumerate(steps):
                if index == late:
                    follow()
                try:
                    await act(plane, *step)
                except (AlreadyExists, NotFound):
                    continue
            await plane.settle()
            for follower, task in zip(followers, tasks, strict=True):
                assert not task.done(), task.exception()
                listed = await plane.client.list(CONFIG_MAP, follower.namespace, **follower.selection)
                assert follower.held == {identity(obj): obj for obj in listed.items}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())
