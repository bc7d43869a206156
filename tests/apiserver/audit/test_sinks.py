"""Files, their rotation, queues and their bounds."""

import asyncio
import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from kajitori.apiserver.audit import sinks
from kajitori.apiserver.audit.event import Facts, Stage, json_line, legacy_line
from kajitori.apiserver.audit.log_file import LogFile, Rotation
from kajitori.apiserver.audit.policy import Decision, Level
from kajitori.apiserver.audit.sinks import Batches, BatchFile, BlockingFile, Entry, Sink, Webhook
from kajitori.apiserver.audit.truncation import Limits
from kajitori.apiserver.configuration import BadConfiguration
from kajitori.apiserver.interfaces import Attributes, User
from kajitori.apiserver.remote import Unanswered
from kajitori.kit.clock import VirtualClock

ASKED = Attributes(User("jane"), "get", "", "v1", "pods", "", "default", "p")
NOW_S = 1_800_000_000.0


def entry(number: int = 0, body: bytes = b"") -> Entry:
    facts = Facts(str(number), ASKED, Decision(Level.REQUEST), "/p", (), "", NOW_S, request_body=body)
    return Entry(facts, Stage("ResponseComplete", NOW_S, 200), {})


def lines(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_a_batch_file_writes_all_in_order_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "audit.log"

    async def main() -> None:
        sink = BatchFile(LogFile(path, Rotation()), json_line, VirtualClock())
        for number in range(1000):
            assert sink.put(entry(number))
        await sink.close()

    asyncio.run(main())
    assert [int(line["auditID"]) for line in lines(path)] == list(range(1000))
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_full_queue_loses_events_counts_them_and_lets_requests_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sinks, "QUEUED_MAX", 0)

    async def main() -> None:
        sink = BatchFile(LogFile(tmp_path / "a", Rotation()), json_line, VirtualClock())
        assert sink.put(entry())
        assert sink.put(entry())
        assert sink.losses.count == 2
        await sink.close()

    asyncio.run(main())
    assert (tmp_path / "a").read_bytes() == b""
    assert len([r for r in caplog.records if "lost" in r.message]) == 1


def test_bodies_are_bounded_by_their_size_too(tmp_path: Path) -> None:
    async def main() -> None:
        sink = BlockingFile(LogFile(tmp_path / "a", Rotation()), json_line, VirtualClock(), strict=False)
        webhook = Webhook(Calls(), VirtualClock())
        assert webhook.put(entry(body=b"x" * (sinks.QUEUED_BYTES_MAX + 1)))
        assert webhook.losses.count == 1
        await sink.close()

    asyncio.run(main())


def test_a_full_file_is_set_aside_and_old_ones_go(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    file = LogFile(path, Rotation(megabytes=1, backups=2, days=3))
    half = b"x" * (600 << 10)
    for hour in range(6):
        file.write(half, NOW_S + hour * 3600)
    aside = sorted(tmp_path.glob("audit-*.log"))
    assert [p.name for p in aside] == [
        "audit-2027-01-15T12-00-00.000000.log",
        "audit-2027-01-15T13-00-00.000000.log",
    ]
    assert path.stat().st_size == len(half)
    file.write(half, NOW_S + 5 * 86400)
    (fresh,) = tmp_path.glob("audit-*.log")
    assert fresh.name == "audit-2027-01-20T08-00-00.000000.log"
    file.close()


def test_what_is_set_aside_is_packed_and_counts_as_one_of_the_backups(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "audit.log", Rotation(megabytes=1, backups=2, compress=True))
    half = b"x" * (600 << 10)
    for hour in range(4):
        file.write(half, NOW_S + hour * 3600)
        file.wait_for_packing()
    file.close()
    packed = sorted(path.name for path in tmp_path.iterdir())
    assert packed == [
        "audit-2027-01-15T10-00-00.000000.log.gz",
        "audit-2027-01-15T11-00-00.000000.log.gz",
        "audit.log",
    ]
    assert gzip.decompress((tmp_path / packed[0]).read_bytes()) == half
    assert (tmp_path / packed[0]).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("blocking", [False, True])
def test_a_file_keeps_of_a_large_event_what_may_be_kept(tmp_path: Path, blocking: bool) -> None:
    async def main() -> None:
        file, limits = LogFile(tmp_path / "a", Rotation()), Limits(event_bytes=600)
        clock = VirtualClock()
        sink: Sink = BatchFile(file, json_line, clock, limits)
        if blocking:
            sink = BlockingFile(file, json_line, clock, strict=True, limits=limits)
        assert sink.put(entry(1, orjson.dumps({"x": "y" * 700})))
        facts = replace(entry(2).facts, uri="/" + "u" * 700)
        assert sink.put(replace(entry(2), facts=facts))
        await sink.close()
        assert sink.losses.count == 1

    asyncio.run(main())
    (kept,) = lines(tmp_path / "a")
    assert kept["annotations"] == {"audit.k8s.io/truncated": "true"}
    assert "requestObject" not in kept


def test_a_log_goes_on_where_it_was_after_a_restart(tmp_path: Path) -> None:
    for number in range(2):
        file = LogFile(tmp_path / "a", Rotation())
        file.write(b"%d\n" % number, NOW_S)
        file.close()
    assert (tmp_path / "a").read_bytes() == b"0\n1\n"


def test_a_place_that_cannot_be_written_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadConfiguration, match=r"--audit-log-path .*file/audit\.log: .*: choose another place"):
        LogFile(tmp_path / "file" / "audit.log", Rotation())


@pytest.mark.parametrize("strict", [True, False])
def test_a_blocking_log_on_a_full_disk_refuses_only_when_it_is_strict(strict: bool) -> None:
    sink = BlockingFile(LogFile(Path("/dev/full"), Rotation()), json_line, VirtualClock(), strict=strict)
    assert sink.put(entry()) is not strict
    assert sink.losses.count == 1


def test_the_legacy_format_is_one_line_of_text() -> None:
    line = legacy_line(entry().document()).decode()
    assert line.startswith('2027-01-15T08:00:00.000000Z AUDIT: id="0" stage="ResponseComplete" ip="<unknown>"')
    assert line.endswith('namespace="default" uri="/p" response="200"\n')


class Calls:
    def __init__(self) -> None:
        self.lists: list[dict[str, Any]] = []
        self.works = True

    async def post(self, document: dict[str, Any]) -> dict[str, Any]:
        if not self.works:
            raise Unanswered("down")
        self.lists.append(document)
        return {}

    async def close(self) -> None: ...


def test_a_webhook_gets_lists_after_a_while_or_when_there_are_enough() -> None:
    async def main() -> None:
        clock, calls = VirtualClock(), Calls()
        webhook = Webhook(calls, clock)
        webhook.put(entry(1))
        await clock.advance(29)
        assert calls.lists == []
        await clock.advance(2)
        assert [item["auditID"] for item in calls.lists[0]["items"]] == ["1"]
        for number in range(sinks.BATCH_MAX):
            webhook.put(entry(number))
        await clock.settle()
        assert len(calls.lists[1]["items"]) == sinks.BATCH_MAX
        calls.works = False
        webhook.put(entry())
        await webhook.close()
        assert webhook.losses.count == 1

    asyncio.run(main())


def test_a_webhook_may_be_sent_smaller_lists_sooner() -> None:
    async def main() -> None:
        clock, calls = VirtualClock(), Calls()
        webhook = Webhook(calls, clock, Batches(events=2, wait_s=3.0, queued=3), Limits(list_bytes=1))
        webhook.put(entry(1))
        await clock.advance(4)
        assert [len(some["items"]) for some in calls.lists] == [1]
        for number in range(4):
            webhook.put(entry(number))
        assert webhook.losses.count == 1
        await clock.settle()
        assert [len(some["items"]) for some in calls.lists] == [1, 1, 1]
        await webhook.close()

    asyncio.run(main())


def test_what_is_being_sent_when_the_server_stops_is_not_lost() -> None:
    class Slow(Calls):
        async def post(self, document: dict[str, Any]) -> dict[str, Any]:
            if self.works:
                self.works = False
                await asyncio.Event().wait()
            self.lists.append(document)
            return {}

    async def main() -> None:
        clock, calls = VirtualClock(), Slow()
        webhook = Webhook(calls, clock)
        webhook.put(entry(1))
        webhook.put(entry(2))
        await clock.advance(31)
        webhook.put(entry(3))
        await webhook.close()
        assert [item["auditID"] for item in calls.lists[0]["items"]] == ["1", "2", "3"]
        assert webhook.losses.count == 0

    asyncio.run(main())
