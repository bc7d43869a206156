"""The node's own API without a network: requests, logs, usage."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from kajitori.kubelet.config import KubeletConfig
from kajitori.kubelet.containerd_config import ContainerdConfig
from kajitori.kubelet.log_lines import parse_line
from kajitori.kubelet.pod_state import PodState
from kajitori.kubelet.runtime import ContainerRecord, ContainerState, ContainerUsage
from kajitori.kubelet.server.agent_metrics import agent_metrics
from kajitori.kubelet.server.http_messages import BadMessage, parse_head
from kajitori.kubelet.server.logs import LogOptions, nanoseconds_trimmed, read_log
from kajitori.kubelet.server.stats import CpuRates, NodeUsage, PodContainers, resource_metrics, summary
from kajitori.kubelet.termination_message import read_message

STAMP = "2026-11-22T10:00:0{}.123456789Z"


def lines(*texts, start=0):
    return "".join(f"{STAMP.format(start + n)} stdout F {text}\n" for n, text in enumerate(texts))


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "0.log"
    path.write_text(lines("one", "two", "three"))
    return path


def shown(path, **options):
    async def read():
        return b"".join(
            [chunk async for chunk in read_log(path, LogOptions(**options), lambda: True, lambda wake: list)]
        )

    return asyncio.run(read()).decode()


def test_a_whole_log(log):
    assert shown(log) == "one\ntwo\nthree\n"


@pytest.mark.parametrize(
    ("count", "expected"), [(0, ""), (1, "three\n"), (2, "two\nthree\n"), (9, "one\ntwo\nthree\n")]
)
def test_its_tail(log, count, expected):
    assert shown(log, tail_lines=count) == expected


def test_a_long_line_in_parts_is_one_line(log):
    log.write_text(lines("one") + f"{STAMP.format(1)} stdout P half-\n{STAMP.format(1)} stdout F whole\n")
    assert shown(log) == "one\nhalf-whole\n"
    assert shown(log, tail_lines=1) == "half-whole\n"
    assert shown(log, timestamps=True).count("Z ") == 2


def test_limits_times_and_streams(log):
    with log.open("a") as file:
        file.write(f"{STAMP.format(5)} stderr F wrong\n")
    assert shown(log, limit_bytes=6) == "one\ntw"
    assert shown(log, stream=b"stderr") == "wrong\n"
    assert shown(log, timestamps=True, tail_lines=1) == f"{STAMP.format(5)} wrong\n"


def test_only_what_is_newer(log):
    from kajitori.api.times import parse_timestamp

    assert shown(log, since_s=parse_timestamp("2026-11-22T10:00:01Z")) == "two\nthree\n"


def test_following_shows_what_comes_and_survives_rotation(log):
    over = False

    async def follow():
        nonlocal over
        wakers, found = [], asyncio.Queue()

        def subscribe(wake):
            wakers.append(wake)
            return lambda: wakers.remove(wake)

        async def read():
            async for chunk in read_log(log, LogOptions(follow=True, tail_lines=1), lambda: over, subscribe):
                found.put_nowait(chunk)

        task = asyncio.create_task(read())
        assert await found.get() == b"three\n"
        with log.open("a") as file:
            file.write(lines("four", start=3))
        assert await found.get() == b"four\n"
        log.rename(log.with_name("0.log.old"))
        log.write_text(lines("five", start=4))
        assert await found.get() == b"five\n"
        over = True
        wakers[0]()
        await task
        assert wakers == []

    asyncio.run(asyncio.wait_for(follow(), 60))


def test_lines_that_are_cut_are_left_out():
    assert parse_line(b"2026-11-22T10:00:00Z std") is None
    assert parse_line(b"2026-11-22T10:00:00Z stdout F ").content == b"\n"


def test_nanoseconds_are_cut_to_what_python_reads():
    assert nanoseconds_trimmed("2026-11-22T10:00:00.123456789+01:00") == "2026-11-22T10:00:00.123456+01:00"


def test_a_termination_message_comes_from_the_file_or_the_log(tmp_path, log):
    file = tmp_path / "message"
    file.write_text("done")
    assert read_message(str(file), "File", log, 0) == "done"
    file.write_text("")
    assert read_message(str(file), "File", log, 1) == ""
    assert read_message(str(file), "FallbackToLogsOnError", log, 1) == "one\ntwo\nthree\n"
    assert read_message(str(file), "FallbackToLogsOnError", log, 0) == ""


def test_request_heads():
    request = parse_head(
        b"POST /exec/ns/pod/c?command=a&command=b%20c&tty=1 HTTP/1.1\r\nConnection: Upgrade\r\nHost: x"
    )
    assert (request.method, request.path) == ("POST", "/exec/ns/pod/c")
    assert request.query["command"] == ["a", "b c"]
    assert request.flag("tty")
    assert request.wants_upgrade
    for wrong in (b"nonsense", b"GET / SPDY/3"):
        with pytest.raises(BadMessage):
            parse_head(wrong)


NODE = NodeUsage(1000.0, 5_000_000_000, 100, 40, 200, 50, 1.0)
POD = PodContainers({"metadata": {"name": "p", "namespace": "d", "uid": "u"}}, {"c1": ("main", 900.0)}, 890.0)


def usage(at_s, cpu_ns):
    return [ContainerUsage(container_id="c1", timestamp_s=at_s, cpu_total_ns=cpu_ns, memory_working_set_bytes=7)]


def test_the_summary_gives_rates_between_looks():
    rates = CpuRates()
    summary("n", NODE, [POD], usage(1000.0, 10**9), rates)
    found = summary("n", NODE, [POD], usage(1010.0, 2 * 10**9), rates)
    assert found["pods"][0]["containers"][0]["cpu"]["usageNanoCores"] == 10**8
    assert found["pods"][0]["memory"]["workingSetBytes"] == 7
    assert found["node"]["memory"]["availableBytes"] == 60


def test_metrics_are_prometheus_text():
    text = resource_metrics(NODE, [POD], usage(1000.0, 2 * 10**9))
    assert 'container_cpu_usage_seconds_total{container="main",namespace="d",pod="p"} 2 1000000\n' in text
    assert "resource_scrape_error 0\n" in text


def test_mount_points_below_a_directory_are_unmounted_deepest_first():
    from kajitori.kubelet.purge import mounts_under

    text = "".join(f"1 0 0:1 / {point} rw - tmpfs tmpfs rw\n" for point in ("/a", "/a/b", "/ab", "/a/b/c\\040d"))
    assert mounts_under(Path("/a"), text) == ["/a/b/c d", "/a/b", "/a"]


def test_the_agents_own_metrics_name_the_node_and_count_what_runs(tmp_path):
    containerd = ContainerdConfig(root=tmp_path, state=tmp_path, cni_conf_dir=tmp_path)
    config = KubeletConfig(node_name="node-a", node_ip="10.0.0.1", root_dir=tmp_path, containerd=containerd)
    runs = [ContainerRecord(id="c2", sandbox_id="s", name="main", attempt=1, state=ContainerState.RUNNING)]
    worker = SimpleNamespace(state=PodState({}, containers={"main": runs, "later": []}))
    text = agent_metrics(config, [worker])
    assert 'kubelet_node_name{node="node-a"} 1' in text
    assert "kubelet_running_pods 0" in text
    assert 'kubelet_running_containers{container_state="running"} 1' in text
    assert "# TYPE process_resident_memory_bytes gauge" in text
