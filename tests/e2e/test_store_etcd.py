"""Several API servers on a real etcd of three members, some of which are killed: nothing lost, nothing wrong."""

import asyncio
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from etcd_cluster import EtcdCluster
from store_load import ApiProcess, Ledger, Onlooker, present, write

from kajitori.api import core, networking
from kajitori.api.errors import Conflict, Forbidden, Invalid, StatusError
from kajitori.client.http import HttpClient

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(not shutil.which("etcd"), reason="etcd is not installed")]


def configmap(name: str, text: str, revision: str = "") -> dict:
    metadata = {"name": name, "namespace": "default"} | ({"resourceVersion": revision} if revision else {})
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"text": text}}


class TwoServers:
    """Two API servers that trust the same authorities, on one etcd."""

    def __init__(self, folder: Path) -> None:
        self.etcd = EtcdCluster(folder / "etcd", 3)
        self.a = ApiProcess(folder / "a", self.etcd.url)
        shutil.copytree(folder / "a" / "pki", folder / "b" / "pki")
        self.b = ApiProcess(folder / "b", self.etcd.url)

    def start(self) -> None:
        self.etcd.start()
        self.etcd.wait()
        self.a.start()
        self.b.start()

    def stop(self) -> None:
        self.a.kill()
        self.b.kill()
        self.etcd.kill()

    async def clients(self) -> tuple[HttpClient, HttpClient]:
        a, b = self.a.client(), self.b.client()
        await self.a.ready(a)
        await self.b.ready(b)
        return a, b


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoServers]:
    servers = TwoServers(tmp_path_factory.mktemp("etcd"))
    servers.start()
    yield servers
    servers.stop()


def test_a_write_through_one_server_is_read_and_watched_through_the_other(two: TwoServers):
    async def main() -> None:
        a, b = await two.clients()
        listed = await b.list(core.CONFIG_MAP, "default")
        watch = b.watch(core.CONFIG_MAP, "default", resource_version=listed.resource_version)
        last = int(listed.resource_version)
        for turn in range(60):
            writer, reader = (a, b) if turn % 2 else (b, a)
            made = await writer.create(core.CONFIG_MAP, configmap(f"seen-{turn}", str(turn)))
            read = await reader.get(core.CONFIG_MAP, f"seen-{turn}", "default")
            assert read["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
            assert int(made["metadata"]["resourceVersion"]) > last
            last = int(made["metadata"]["resourceVersion"])
            event = await asyncio.wait_for(anext(watch), 10)
            assert event.object == read
        await a.close()
        await b.close()

    asyncio.run(main())


def test_two_servers_do_not_overwrite_each_other(two: TwoServers):
    async def count(client: HttpClient, times: int) -> None:
        for _ in range(times):
            while True:
                found = await client.get(core.CONFIG_MAP, "counter", "default")
                text = str(int(found["data"]["text"]) + 1)
                changed = configmap("counter", text, found["metadata"]["resourceVersion"])
                try:
                    await client.update(core.CONFIG_MAP, changed)
                    break
                except Conflict:
                    continue

    async def main() -> None:
        a, b = await two.clients()
        await a.create(core.CONFIG_MAP, configmap("counter", "0"))
        await asyncio.gather(*(count(client, 15) for client in (a, b, a, b)))
        assert (await b.get(core.CONFIG_MAP, "counter", "default"))["data"]["text"] == "60"
        await a.close()
        await b.close()

    asyncio.run(main())


def test_two_servers_give_out_no_address_and_no_port_twice(two: TwoServers):
    def service(name: str, **spec: Any) -> dict[str, Any]:
        metadata = {"name": name, "namespace": "default"}
        ports = [{"port": 80, "protocol": "TCP", **spec.pop("port", {})}]
        return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": ports, **spec}}

    async def main() -> None:
        a, b = await two.clients()
        calls = [
            client.create(core.SERVICE, service(f"{side}{n}", type="NodePort"))
            for n in range(60)
            for side, client in (("a", a), ("b", b))
        ]
        made = [obj["spec"] for obj in await asyncio.gather(*calls)]
        assert len({spec["clusterIP"] for spec in made}) == 120
        assert len({spec["ports"][0]["nodePort"] for spec in made}) == 120
        # The same number asked for at both at once: one of them gets it.
        for turn in range(20):
            asked = {"clusterIP": f"10.96.0.{100 + turn}", "type": "NodePort", "port": {"nodePort": 30020 + turn}}
            both = [
                client.create(core.SERVICE, service(f"{side}-same-{turn}", **asked))
                for side, client in (("a", a), ("b", b))
            ]
            answers = await asyncio.gather(*both, return_exceptions=True)
            assert sum(isinstance(answer, Invalid) for answer in answers) <= 2
            assert sum(isinstance(answer, dict) for answer in answers) <= 1
        listed = [obj["spec"] for obj in (await b.list(core.SERVICE, None)).items]
        addresses = [spec["clusterIP"] for spec in listed]
        ports = [port["nodePort"] for spec in listed for port in spec["ports"] if "nodePort" in port]
        assert len(set(addresses)) == len(addresses) and len(set(ports)) == len(ports)
        claimed = {obj["metadata"]["name"] for obj in (await a.list(networking.IP_ADDRESS, None)).items}
        assert set(addresses) <= claimed
        await a.close()
        await b.close()

    asyncio.run(main())


def test_two_servers_admit_no_more_than_a_quota_together(two: TwoServers):
    def of(namespace: str, name: str, **rest: Any) -> dict[str, Any]:
        return {"metadata": {"name": name, "namespace": namespace}, **rest}

    async def main() -> None:
        a, b = await two.clients()
        for turn in range(5):
            namespace = f"quota-{turn}"
            await a.create(core.NAMESPACE, {"metadata": {"name": namespace}})
            await b.create(core.RESOURCE_QUOTA, of(namespace, "q", spec={"hard": {"count/secrets": "10"}}))
            await a.get(core.RESOURCE_QUOTA, "q", namespace)  # both have seen it
            await b.get(core.RESOURCE_QUOTA, "q", namespace)
            creates = [
                client.create(core.SECRET, of(namespace, f"{side}{n}"))
                for n in range(25)
                for side, client in (("a", a), ("b", b))
            ]
            answers = await asyncio.gather(*creates, return_exceptions=True)
            refused = [answer for answer in answers if isinstance(answer, Exception)]
            assert all(isinstance(why, Forbidden) and "exceeded quota: q" in why.message for why in refused), refused
            assert len(answers) - len(refused) == 10
            assert len((await b.list(core.SECRET, namespace)).items) == 10
        await a.close()
        await b.close()

    asyncio.run(main())


def test_members_that_are_killed_cost_nothing(two: TwoServers):
    rng = random.Random(5)

    async def main() -> None:
        a, b = await two.clients()
        ledger = Ledger()
        onlookers = [Onlooker(two.a.client()), Onlooker(two.b.client())]
        watching = [asyncio.create_task(onlooker.run()) for onlooker in onlookers]
        writers = [
            asyncio.create_task(write(client, ledger, rng, f"{name}{n}"))
            for name, client in (("a", a), ("b", b))
            for n in range(4)
        ]

        async def more_writes(count: int) -> None:
            growing = asyncio.create_task(ledger.more(count))
            tasks = (growing, *writers, *watching)
            done, _ = await asyncio.wait(tasks, timeout=120, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            assert done == {growing}, "no writes within 120 s" if not done else "a writer or a watch was cut off"

        for member in (0, 1, 2):
            await more_writes(100)
            two.etcd.kill(member)
            # Writes that were on their way through the leader are answered when etcd gives up on them, after 7 s.
            await more_writes(100)
            two.etcd.start(member)
        await more_writes(100)
        for writer in writers:
            writer.cancel()
        await asyncio.gather(*writers, return_exceptions=True)
        await a.close()
        await b.close()
        a, b = await two.clients()
        (through_a, _), (through_b, revision) = await present(a), await present(b)
        assert through_a == through_b
        ledger.compare(through_b)
        mark = await a.create(
            core.CONFIG_MAP,
            configmap("mark", "")
            | {"metadata": {"name": "mark", "namespace": "default", "labels": {"made-by": "load"}}},
        )
        ledger.put("mark", {**mark, "data": {"text": ""}})
        found, _ = await present(a)
        for onlooker in onlookers:
            await onlooker.reached(int(mark["metadata"]["resourceVersion"]))
            onlooker.compare(ledger, found)
            assert not onlooker.relists, "a watch had to begin anew"
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        assert revision and ledger.acknowledged > 200
        await a.close()
        await b.close()

    asyncio.run(main())


def test_without_a_majority_there_is_a_refusal_and_then_a_recovery(two: TwoServers):
    async def status(client: HttpClient, method: str, path: str, body: bytes = b"") -> int:
        return (await client.raw(method, path, body, {"Content-Type": "application/json"}))[0]

    async def main() -> None:
        a, b = await two.clients()
        await a.create(core.CONFIG_MAP, configmap("steady", "1"))
        await b.get(core.CONFIG_MAP, "steady", "default")
        path = "/api/v1/namespaces/default/configmaps"
        two.etcd.kill(0, 1)
        body = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"lost"}}'
        reads = [status(client, "GET", f"{path}/steady") for client in (a, b)]
        writes = [status(client, "POST", path, body) for client in (a, b)]
        assert set(await asyncio.gather(*reads, *writes)) <= {503, 504}
        # What may be old is served: it says so by its resourceVersion=0.
        assert await status(b, "GET", f"{path}/steady?resourceVersion=0") == 200
        two.etcd.start(0, 1)
        await asyncio.to_thread(two.etcd.wait)
        for server, client in ((two.a, a), (two.b, b)):
            for _ in range(20):
                await server.ready(client)
                try:
                    await client.update(core.CONFIG_MAP, configmap("steady", "2"))
                    break
                except StatusError as error:
                    assert error.code in (503, 504), error
            else:
                raise AssertionError("the API server did not recover")
        assert (await a.get(core.CONFIG_MAP, "steady", "default"))["data"]["text"] == "2"
        await a.close()
        await b.close()

    asyncio.run(main())
