import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from kajitori.kit.clock import VirtualClock
from kajitori.network.dns.responder import Responder, ResponderConfig
from kajitori.network.dns.upstream import Unreachable, Upstream, UpstreamConfig
from kajitori.network.dns.zone import Answer

OURS = dns.name.from_text("cluster.local")


class FixedZone:
    """Addresses for every name of the cluster, and a count of how often it was asked."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.asked = 0
        self.follow: str = ""

    def answer(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> Answer | None:
        if not name.canonicalize().is_subdomain(OURS):
            return None
        self.asked += 1
        if self.follow:
            alias = dns.rrset.from_text(name, 5, "IN", "CNAME", self.follow)
            return Answer(answers=[alias], follow=dns.name.from_text(self.follow))
        return Answer(answers=[dns.rrset.from_text_list(name, 5, "IN", "A", self.addresses)])


class FixedUpstream(Upstream):
    def __init__(self, answer: Callable[[dns.message.Message], dns.message.Message] | None = None) -> None:
        self.asked = 0
        self._answer = answer

    async def ask(self, query: bytes, *, tcp: bool = False) -> bytes:
        self.asked += 1
        if self._answer is None:
            raise Unreachable("no resolver of the host answered")
        return self._answer(dns.message.from_wire(query)).to_wire()


def known(query: dns.message.Message) -> dns.message.Message:
    response = dns.message.make_response(query)
    response.answer = [dns.rrset.from_text(query.question[0].name, 60, "IN", "A", "192.0.2.1")]
    return response


class Bench:
    def __init__(self, zone: FixedZone, upstream: FixedUpstream | None = None, **config: Any) -> None:
        self.clock = VirtualClock()
        self.upstream = upstream or FixedUpstream()
        self.responder = Responder(zone, self.upstream, self.clock, ResponderConfig(**config))  # type: ignore[arg-type]

    async def ask(self, name: str, *, tcp: bool = False, edns: bool = False, kind: str = "A") -> dns.message.Message:
        query = dns.message.make_query(name, kind, use_edns=edns, payload=4096 if edns else 0)
        wire = query.to_wire()
        answer = self.responder.respond_at_once(wire, tcp=tcp) or await self.responder.respond(wire, tcp=tcp)
        assert answer is not None
        response = dns.message.from_wire(answer)
        assert query.is_response(response)
        return response


def addresses(response: dns.message.Message) -> list[str]:
    return [record.to_text() for rrset in response.answer for record in rrset]


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(test())  # type: ignore[arg-type]


def test_an_answer_is_worked_out_once_until_something_changes() -> None:
    async def main() -> None:
        zone = FixedZone("10.96.0.7")
        bench = Bench(zone)
        for _ in range(3):
            assert addresses(await bench.ask("web.cluster.local")) == ["10.96.0.7"]
        assert zone.asked == 1
        zone.addresses = ["10.96.0.8"]
        bench.responder.forget()
        assert addresses(await bench.ask("web.cluster.local")) == ["10.96.0.8"]

    run(main)


def test_several_addresses_take_turns_at_being_first() -> None:
    async def main() -> None:
        bench = Bench(FixedZone("10.0.0.1", "10.0.0.2", "10.0.0.3"))
        firsts = [addresses(await bench.ask("db.cluster.local"))[0] for _ in range(6)]
        assert sorted(set(firsts)) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]

    run(main)


def test_what_does_not_fit_is_truncated_over_udp_and_whole_over_tcp() -> None:
    async def main() -> None:
        bench = Bench(FixedZone(*(f"10.0.{i // 250}.{i % 250 + 1}" for i in range(300))))
        plain = await bench.ask("db.cluster.local")
        assert plain.flags & dns.flags.TC
        assert 0 < len(addresses(plain)) < 32
        assert len(addresses(await bench.ask("db.cluster.local", edns=True))) > len(addresses(plain))
        whole = await bench.ask("db.cluster.local", tcp=True)
        assert not whole.flags & dns.flags.TC
        assert len(addresses(whole)) == 300

    run(main)


def test_other_names_are_asked_outside_and_kept_for_a_while() -> None:
    async def main() -> None:
        upstream = FixedUpstream(known)
        bench = Bench(FixedZone("10.96.0.7"), upstream, upstream_keep_s=10)
        for _ in range(2):
            assert addresses(await bench.ask("example.org")) == ["192.0.2.1"]
        assert upstream.asked == 1
        await bench.clock.advance(11)
        await bench.ask("example.org")
        assert upstream.asked == 2

    run(main)


def test_without_resolvers_the_answer_is_a_failure_at_once() -> None:
    async def main() -> None:
        response = await Bench(FixedZone("10.96.0.7")).ask("example.org")
        assert response.rcode() == dns.rcode.SERVFAIL

    run(main)


def test_an_alias_is_followed_outside() -> None:
    async def main() -> None:
        zone = FixedZone()
        zone.follow = "db.example.org."
        response = await Bench(zone, FixedUpstream(known)).ask("away.cluster.local")
        assert addresses(response) == ["db.example.org.", "192.0.2.1"]

    run(main)


def test_the_store_of_ready_answers_is_bounded() -> None:
    async def main() -> None:
        zone = FixedZone("10.96.0.7")
        bench = Bench(zone, ready_answers=2)
        for name in ("a", "b", "c", "a"):
            await bench.ask(f"{name}.cluster.local")
        assert zone.asked == 4

    run(main)


def test_nonsense_is_refused_and_answers_are_ignored() -> None:
    async def main() -> None:
        responder = Bench(FixedZone("10.96.0.7")).responder
        cut = dns.message.make_query("web.cluster.local", "A").to_wire()[:-3]
        answer = await responder.respond(cut, tcp=False)
        assert answer is not None
        assert (answer[:2], answer[3] & 0xF) == (cut[:2], dns.rcode.FORMERR)
        response = known(dns.message.make_query("web.cluster.local", "A"))
        assert await responder.respond(response.to_wire(), tcp=False) is None
        assert await responder.respond(b"short", tcp=False) is None
        update = bytearray(dns.message.make_query("web.cluster.local", "A").to_wire())
        update[2] = 0x28
        answer = await responder.respond(bytes(update), tcp=False)
        assert answer is not None
        assert answer[3] & 0xF == dns.rcode.NOTIMP

    run(main)


def test_too_many_questions_outside_are_refused() -> None:
    async def main() -> None:
        upstream = Upstream(UpstreamConfig(concurrency=0), VirtualClock())
        try:
            await upstream.ask(b"\0" * 12)
        except Unreachable as unreachable:
            assert "questions wait" in str(unreachable)
        else:
            raise AssertionError("a question beyond the limit went out")

    run(main)
