import asyncio
import re

from kajitori.api.core import CONFIG_MAP
from kajitori.apiserver.exposition import Distribution, Family, exposition
from kajitori.apiserver.extension import ADMIN
from kajitori.apiserver.flow.queues import QueueShape
from kajitori.apiserver.http_types import Query, Request, Response
from kajitori.apiserver.interfaces import Attributes, User
from kajitori.apiserver.metrics import Metrics
from kajitori.apiserver.request_info import request_info
from kajitori.apiserver.server import ApiServerConfig


def test_a_request_is_counted_under_upstreams_labels(in_cluster):
    async def scenario(plane):
        get = plane.server.metrics
        for method, path in (
            ("GET", "/api/v1/namespaces/default"),
            ("GET", "/api/v1/namespaces/default/configmaps"),
            ("GET", "/api/v1/configmaps"),
            ("GET", "/api/v1/namespaces/default/pods/x/log"),
            ("GET", "/version"),
        ):
            await plane.client.raw(method, path)
        text = get.render().body.decode()
        tail = 'component="apiserver",dry_run="",code='
        for labels in (
            f'verb="GET",group="",version="v1",resource="namespaces",subresource="",scope="resource",{tail}"200"',
            f'verb="LIST",group="",version="v1",resource="configmaps",subresource="",scope="namespace",{tail}"200"',
            f'verb="LIST",group="",version="v1",resource="configmaps",subresource="",scope="cluster",{tail}"200"',
            f'verb="CONNECT",group="",version="v1",resource="pods",subresource="log",scope="resource",{tail}"404"',
            f'verb="GET",group="",version="",resource="",subresource="",scope="",{tail}"200"',
        ):
            assert f"apiserver_request_total{{{labels}}} 1\n" in text

    in_cluster(scenario)


def test_what_dashboards_ask_for_is_there(in_cluster):
    async def scenario(plane):
        await plane.client.raw("GET", "/api/v1/configmaps")
        text = plane.server.metrics.render().body.decode()
        for name in (
            "apiserver_request_duration_seconds_bucket",
            "apiserver_request_sli_duration_seconds_count",
            "apiserver_response_sizes_sum",
            "apiserver_current_inflight_requests",
            "apiserver_storage_objects",
            "apiserver_resource_objects",
            "apiserver_flowcontrol_nominal_limit_seats",
            "apiserver_flowcontrol_current_limit_seats",
            "apiserver_flowcontrol_current_executing_requests",
            "apiserver_flowcontrol_current_inqueue_requests",
            "apiserver_flowcontrol_dispatched_requests_total",
            "apiserver_flowcontrol_request_wait_duration_seconds_bucket",
            "etcd_request_duration_seconds_bucket",
            "etcd_requests_total",
            "authentication_attempts",
            "process_resident_memory_bytes",
            "process_cpu_seconds_total",
            "process_open_fds",
            "process_start_time_seconds",
            "kubernetes_build_info",
        ):
            assert re.search(f"^{name}[{{ ]", text, re.MULTILINE), name

    in_cluster(scenario)


def test_open_metrics_is_answered_to_who_asks_for_it(in_cluster):
    async def scenario(plane):
        await plane.client.raw("GET", "/api/v1/configmaps")
        response = plane.server.metrics.render("application/openmetrics-text;version=1.0.0;q=0.8,text/plain;q=0.5")
        assert response.content_type.startswith("application/openmetrics-text; version=1.0.0")
        text = response.body.decode()
        assert text.endswith("# EOF\n") and "# TYPE apiserver_request counter\n" in text
        assert "\napiserver_request_total{" in text and 'le="1.0"' in text
        assert plane.server.metrics.render("text/plain").content_type.startswith("text/plain; version=0.0.4")

    in_cluster(scenario)


def test_buckets_add_up_and_values_are_escaped():
    found = Distribution((0.1, 1, 10), (1, 2, 0, 4), 55.5)
    family = Family("x_seconds", "histogram", "A\nB", lambda: [({"a": 'q"\\\n'}, found)])
    assert exposition([family], open_metrics=False).decode().splitlines() == [
        "# HELP x_seconds A\\nB",
        "# TYPE x_seconds histogram",
        'x_seconds_bucket{a="q\\"\\\\\\n",le="0.1"} 1',
        'x_seconds_bucket{a="q\\"\\\\\\n",le="1"} 3',
        'x_seconds_bucket{a="q\\"\\\\\\n",le="10"} 3',
        'x_seconds_bucket{a="q\\"\\\\\\n",le="+Inf"} 7',
        'x_seconds_sum{a="q\\"\\\\\\n"} 55.5',
        'x_seconds_count{a="q\\"\\\\\\n"} 7',
    ]


def test_indicators_begin_at_50_ms_and_lose_nothing():
    metrics = Metrics()
    info = request_info("GET", "/version", Query(""))
    for duration_s in (0.001, 0.02, 0.04, 0.05, 0.2, 100):
        metrics.observe(info, None, Response(), duration_s)
    text = metrics.render().body.decode()
    [first] = re.findall(r'apiserver_request_sli_duration_seconds_bucket{[^}]*le="0.05"} (\d+)', text)
    [count] = re.findall(r"apiserver_request_sli_duration_seconds_count{[^}]*} (\d+)", text)
    assert (first, count) == ("4", "6") and 'le="0.025"' not in text.split("sli_duration")[1].split("\n")[0]


def test_levels_queues_and_requests_can_be_dumped(in_cluster):
    async def scenario(plane):
        async def dump(name):
            path = f"/debug/api_priority_and_fairness/{name}"
            return await plane.server.answer(Request("GET", path), ADMIN)

        lines = (await dump("dump_priority_levels")).body.decode().splitlines()
        assert lines[0].split(",")[0] == "PriorityLevelName"
        assert [line.split(",")[0] for line in lines[1:]] == ["catch-all", "exempt"]
        flow = plane.server._flow
        jane = flow.flow_of(Attributes(User("jane"), "create", resource="pods"))
        assert flow.enter(jane, 600, True)
        flow.configuration.levels["catch-all"].shape = QueueShape(1, 1, 5)
        task = asyncio.create_task(flow.wait(jane, 3, True))
        await plane.settle()
        assert (await dump("dump_requests")).body.decode().splitlines()[1].startswith("catch-all, ")
        assert (await dump("dump_queues")).body.decode().splitlines()[1].split() == [
            "catch-all,",
            "0,",
            "1,",
            "3,",
            "0.000000ss",
        ]
        assert (await dump("nothing")).status == 404
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        flow.leave(jane, 600, True, None)

    in_cluster(scenario)


def test_who_stops_says_so_before_it_refuses(in_cluster):
    async def scenario(plane):
        plane.server.config = ApiServerConfig(shutdown_delay_s=5)
        ready, live = Request("GET", "/readyz"), Request("GET", "/livez")
        assert (await plane.server.answer(ready, ADMIN)).body == b"ok"
        stopping = asyncio.create_task(plane.server.stop())
        await plane.clock.advance(1)
        response = await plane.server.answer(ready, ADMIN)
        assert response.status == 500 and b"[-]shutdown failed: reason withheld\n" in response.body
        assert (await plane.server.answer(live, ADMIN)).status == 200 and not stopping.done()
        await plane.clock.advance(5)
        await stopping
        plane.server.config = ApiServerConfig()

    in_cluster(scenario)


def test_a_store_that_does_not_answer_fails_the_check(in_cluster):
    async def scenario(plane):
        async def never():
            await plane.clock.sleep(1000)

        plane.storage.revision = never
        asked = asyncio.create_task(plane.server.answer(Request("GET", "/livez/etcd"), ADMIN))
        await plane.clock.advance(3)
        response = await asked
        assert response.status == 500 and b"the store does not answer" in response.body

    in_cluster(scenario)


def test_the_stores_answers_are_timed_by_operation_and_kind(in_cluster):
    async def scenario(plane):
        await plane.client.create(CONFIG_MAP, {"metadata": {"name": "a", "namespace": "default"}, "data": {}})
        await plane.client.delete(CONFIG_MAP, "a", "default")
        text = plane.server.metrics.render().body.decode()
        for operation in ("create", "delete"):
            labels = f'operation="{operation}",group="",resource="configmaps"'
            assert f"etcd_requests_total{{{labels}}} 1\n" in text
            assert f"etcd_request_errors_total{{{labels}}} 0\n" in text

    in_cluster(scenario)
