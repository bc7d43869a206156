"""Reviews that travel: posted over a real connection to a small server on the loopback."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from kajitori.apiserver.configuration import BadConfiguration
from kajitori.apiserver.remote import Answers, ReviewCaller, Unanswered
from kajitori.kit.clock import SystemClock, VirtualClock


class Quick(SystemClock):
    """Pauses between attempts cost nothing."""

    async def sleep(self, duration_s: float) -> None:
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def server(*answers: tuple[int, bytes]) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Gives these answers one after another, the last one again and again; keeps what it was sent."""
    left, seen = list(answers), []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(h.split(b":")[1]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-length")
                )
                seen.append(head + await reader.readexactly(length))
                status, body = left.pop(0) if len(left) > 1 else left[0]
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1], seen


def kubeconfig(folder: Path, port: int) -> Path:
    path = folder / "webhook.kubeconfig"
    path.write_text(
        orjson.dumps(
            {
                "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}/review"}}],
                "users": [{"name": "u", "user": {"token": "mine"}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        ).decode()
    )
    return path


def test_a_review_goes_to_the_path_of_the_kubeconfig_with_its_credentials(tmp_path: Path) -> None:
    async def main() -> None:
        async with server((201, b'{"status":{"allowed":true}}')) as (port, seen):
            caller = ReviewCaller(kubeconfig(tmp_path, port), Quick())
            assert await caller.post({"kind": "SubjectAccessReview"}) == {"status": {"allowed": True}}
            assert seen[0].startswith(b"POST /review HTTP/1.1\r\n")
            assert b"Authorization: Bearer mine\r\n" in seen[0]
            assert seen[0].endswith(b'{"kind":"SubjectAccessReview"}')
            await caller.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("answers", "asked", "works"),
    [
        ([(503, b""), (500, b""), (200, b"{}")], 3, True),
        ([(503, b"")], 3, False),
        ([(400, b"")], 1, False),
        ([(200, b"nonsense")], 1, False),
        ([(200, b"[]")], 1, False),
    ],
)
def test_what_may_pass_is_tried_again(
    tmp_path: Path, answers: list[tuple[int, bytes]], asked: int, works: bool
) -> None:
    async def main() -> None:
        async with server(*answers) as (port, seen):
            caller = ReviewCaller(kubeconfig(tmp_path, port), Quick())
            if works:
                assert await caller.post({}) == {}
            else:
                with pytest.raises(Unanswered):
                    await caller.post({})
            assert len(seen) == asked
            await caller.close()

    asyncio.run(main())


def test_a_server_that_is_not_there_is_unanswered(tmp_path: Path) -> None:
    async def main() -> None:
        caller = ReviewCaller(kubeconfig(tmp_path, 1), Quick())
        with pytest.raises(Unanswered, match=r"127\.0\.0\.1:1"):
            await caller.post({})

    asyncio.run(main())


def test_a_kubeconfig_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadConfiguration, match=f"^{tmp_path}/none: "):
        ReviewCaller(tmp_path / "none", Quick())


def test_answers_are_bounded_and_a_caller_who_leaves_does_not_spoil_it_for_the_others() -> None:
    async def main() -> None:
        clock, asked = VirtualClock(), 0
        answers: Answers[int] = Answers(clock, kept_max=2)

        async def ask() -> tuple[int, float]:
            nonlocal asked
            asked += 1
            await clock.sleep(1)
            return asked, 60.0

        first = asyncio.create_task(answers.of("q", ask))
        second = asyncio.create_task(answers.of("q", ask))
        await clock.settle()
        first.cancel()
        await clock.advance(1)
        assert await second == 1
        for question in ("a", "b"):
            task = asyncio.create_task(answers.of(question, ask))
            await clock.advance(1)
            await task
        assert answers.known("q") is None
        assert answers.known("b") == 3
        await clock.advance(61)
        assert answers.known("b") is None

    asyncio.run(main())
