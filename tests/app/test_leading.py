"""Which processes elect a leader, and what becomes of the others."""

import asyncio
from pathlib import Path

import pytest

from kajitori.api.coordination import LEASE
from kajitori.app.layout import Layout
from kajitori.app.leading import has_equals, lead, scheduler_lease
from kajitori.app.record import ClusterRecord, write_record
from kajitori.cli.interface import CommandError, PartOptions
from kajitori.testing.cluster import ControlPlane


@pytest.mark.parametrize(("store", "expected"), [("sqlite", False), ("memory", False), ("etcd://10.0.0.1:2379", True)])
def test_a_store_that_others_share_has_equals(tmp_path: Path, store: str, expected: bool) -> None:
    write_record(Layout(tmp_path), ClusterRecord(store=store))
    assert has_equals(PartOptions(data_dir=tmp_path)) is expected
    assert has_equals(PartOptions(data_dir=tmp_path, leader_elect=not expected)) is not expected


def test_under_a_kubeconfig_there_may_be_equals(tmp_path: Path) -> None:
    assert has_equals(PartOptions(data_dir=tmp_path, kubeconfig=tmp_path / "config"))


def test_schedulers_of_other_names_do_not_wait_for_the_default_one() -> None:
    assert scheduler_lease("default-scheduler") == "kube-scheduler"
    assert scheduler_lease("green") == "green"


def test_one_of_two_acts_and_the_other_follows(tmp_path: Path) -> None:
    options = PartOptions(data_dir=tmp_path, leader_elect=True)
    acting: list[str] = []

    async def scenario() -> None:
        async with ControlPlane() as plane:

            def start(name: str) -> asyncio.Task[None]:
                async def act() -> None:
                    acting.append(name)
                    await asyncio.Event().wait()

                return asyncio.create_task(lead(options, plane.client, plane.clock, "kube-scheduler", act))

            first = start("first")
            await plane.virtual.settle()
            second = start("second")
            await plane.virtual.advance(60)
            assert acting == ["first"]
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            await plane.virtual.advance(6)
            assert acting == ["first", "second"]
            second.cancel()
            await asyncio.gather(second, return_exceptions=True)

    asyncio.run(scenario())


def test_a_lost_lease_ends_the_process_with_a_reason(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ControlPlane() as plane:
            options = PartOptions(data_dir=tmp_path, leader_elect=True)
            leading = asyncio.create_task(
                lead(options, plane.client, plane.clock, "kube-scheduler", asyncio.Event().wait)
            )
            await plane.virtual.settle()
            lease = await plane.client.get(LEASE, "kube-scheduler", "kube-system")
            stolen = {**lease, "spec": {**lease["spec"], "holderIdentity": "another"}}
            await plane.client.update(LEASE, stolen)
            await plane.virtual.advance(5)
            with pytest.raises(CommandError, match="kube-system/kube-scheduler was not renewed"):
                await leading

    asyncio.run(scenario())


def test_alone_nothing_is_written(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ControlPlane() as plane:
            acted = asyncio.Event()

            async def act() -> None:
                acted.set()

            await lead(PartOptions(data_dir=tmp_path, leader_elect=False), plane.client, plane.clock, "any", act)
            assert acted.is_set()
            assert not (await plane.client.list(LEASE)).items

    asyncio.run(scenario())
