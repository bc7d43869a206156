"""Short runs of the fuzzer; `./run fuzz` goes on for longer."""

import asyncio
import itertools
import random
import time

import pytest
from bench.fuzz.__main__ import fuzz, resident_mb
from bench.fuzz.asking import Asked, Asker
from bench.fuzz.documents import MARK
from bench.fuzz.judging import Judge
from bench.fuzz.served import Answer

from kajitori.api.registry import Registry

ASKED = Asked(b"GET /api/v1/pods HTTP/1.1\r\n\r\n", "stranger", "GET", "/api/v1/pods", False)
JSON = b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n%b"
STATUS = b'{"kind":"Status","apiVersion":"v1","status":"Failure","message":"m","reason":"r","code":%d}'


def test_hostile_requests_are_answered_as_they_should() -> None:
    assert asyncio.run(fuzz(seed=20, requests=400)).findings == []


@pytest.mark.e2e
def test_thousands_of_hostile_requests_within_bounded_memory() -> None:
    asyncio.run(fuzz(seed=21, requests=300))
    before_mb = resident_mb()
    assert asyncio.run(fuzz(seed=22, requests=4_000)).findings == []
    assert resident_mb() < before_mb + 150


def test_a_seed_asks_the_same_again_at_another_time(monkeypatch: pytest.MonkeyPatch) -> None:
    times = itertools.count(1_000_000, 60)
    monkeypatch.setattr(time, "time", lambda: next(times))

    def asked() -> list[bytes]:
        asker = Asker(random.Random(7), Registry())
        return [asker.ask().wire for _ in range(50)]

    assert asked() == asked()


@pytest.mark.parametrize(
    ("wire", "words"),
    [
        (JSON % (b"404 x", STATUS % 404), ""),
        (b"HTTP/1.1 404 x\r\nContent-Type: text/plain\r\n\r\n404 page not found\n", ""),
        (JSON % (b"404 x", STATUS % 403), "code 403 in an answer with status 404"),
        (JSON % (b"400 x", b"{}"), "400 without a Status"),
        (JSON % (b"500 x", STATUS % 500), "500: m"),
        (JSON % (b"400 x\r\nA: b\x00", STATUS % 400), "broken header line"),
        (JSON % (b"200 x", MARK.encode()), "a secret is told"),
        (b"", "no answer"),
    ],
)
def test_what_counts_as_a_finding(wire: bytes, words: str) -> None:
    judge = Judge()
    judge.judge(ASKED, Answer(wire, 0.1, False))
    assert (words in judge.findings[0]) if words else not judge.findings
