"""Ask until the time is over; print what was found. Exit code 1 when there is anything.

    ./run fuzz [--seconds N] [--requests N] [--seed S] [--corpus FILE.jsonl]

The same seed asks the same requests. A line of a corpus has an object as `request`.
"""

import argparse
import asyncio
import faulthandler
import logging
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from bench.fuzz.asking import Asker
from bench.fuzz.judging import Judge
from bench.fuzz.served import Served, served

HUNG_S = 15.0
"""A request that takes longer is shown with where it hangs."""
TIDY_EVERY = 150
"""Requests after which what bends the server's own ways (webhooks, policies, quotas) and whatever has piled up goes."""
BENDING = (
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
    "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
    "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings",
    "/api/v1/namespaces/default/resourcequotas",
    "/api/v1/namespaces/default/limitranges",
    "/apis/apiregistration.k8s.io/v1/apiservices?labelSelector=!kube-aggregator.kubernetes.io%2Fautomanaged",
)
PILED = ("configmaps", "secrets", "pods", "services", "events")
ACCOUNT = b'{"metadata":{"name":"default"}}'
"""Pods need one."""


def _request(method: str, target: str, body: bytes = b"") -> bytes:
    head = f"{method} {target} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def _tidy(server: Served) -> None:
    for path in (*BENDING, *(f"/api/v1/namespaces/default/{plural}" for plural in PILED)):
        await server.ask(_request("DELETE", path))
    await server.clock.advance(1.0)


async def _still_works(server: Served, judge: Judge) -> None:
    """A write, a read and a watch."""
    await _tidy(server)
    path = "/api/v1/namespaces/kube-public/configmaps"
    wanted = (
        (_request("POST", path, b'{"metadata":{"name":"after"}}'), b"201"),
        (_request("GET", f"{path}/after"), b"200"),
    )
    for request, status in (
        *wanted,
        (_request("GET", f"{path}?watch=true"), b"200"),
        (_request("DELETE", f"{path}/after"), b"200"),
    ):
        answer = await server.ask(request)
        if answer.wire.split()[1:2] != [status] or (b"watch" in request and b'"ADDED"' not in answer.wire):
            judge.findings.append(f"afterwards, {request[:80]!r} is answered with {answer.wire[:300]!r}")


def resident_mb() -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def read_corpus(path: Path | None) -> list[dict[str, Any]]:
    lines = path.read_bytes().splitlines() if path else []
    found = [orjson.loads(line).get("request") for line in lines]
    return [document for document in found if isinstance(document, dict) and "kind" in document]


async def fuzz(
    seed: int,
    seconds: float = 1e9,
    requests: int = 1 << 60,
    corpus: Sequence[dict[str, Any]] = (),
    *,
    talk: bool = False,
) -> Judge:
    """Ask `requests` requests, but no longer than `seconds`."""
    chance, judge, until_s = random.Random(seed), Judge(), time.monotonic() + seconds
    log, level = logging.getLogger("kajitori"), logging.getLogger("kajitori").level
    log.setLevel(logging.DEBUG)
    logging.getLogger().addHandler(judge)
    try:
        async with served() as server:
            await server.ask(_request("POST", "/api/v1/namespaces/default/serviceaccounts", ACCOUNT))
            asker = Asker(chance, server.server.registry, corpus)
            for count in range(requests):
                if time.monotonic() > until_s:
                    break
                asked = asker.ask()
                known = len(judge.findings)
                if talk:
                    faulthandler.dump_traceback_later(HUNG_S)
                answer = await server.ask(asked.wire, asked.identity)
                judge.judge(asked, answer)
                asker.seen(answer.wire)
                if talk:
                    for finding in judge.findings[known:]:
                        print(f"#{count}: {finding}", flush=True)
                    if count % 5000 == 0:
                        print(f"{count} requests, {resident_mb():.0f} MB, {judge.statuses}", flush=True)
                if count % TIDY_EVERY == TIDY_EVERY - 1:
                    await _tidy(server)
            await _still_works(server, judge)
    finally:
        logging.getLogger().removeHandler(judge)
        log.setLevel(level)
    return judge


def main() -> int:
    parser = argparse.ArgumentParser(prog="./run fuzz", description="hostile requests to a whole API server")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--requests", type=int, default=1 << 60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--corpus", type=Path, help="a file of JSON lines with objects to begin with")
    given = parser.parse_args()
    before_mb = resident_mb()
    judge = asyncio.run(fuzz(given.seed, given.seconds, given.requests, read_corpus(given.corpus), talk=True))
    answers = ", ".join(f"{status}: {count}" for status, count in sorted(judge.statuses.items()))
    print(f"answers: {answers}\nmemory: {before_mb:.0f} MB before, {resident_mb():.0f} MB after")
    for busy_s, request in judge.slowest:
        print(f"{busy_s * 1000:6.0f} ms  {request[:160]}")
    print(f"warnings logged: {len(judge.told)}; findings: {len(judge.findings)}")
    return 1 if judge.findings else 0


if __name__ == "__main__":
    sys.exit(main())
