"""From the bytes of a question to the bytes of its answer. An answer given once is kept ready as bytes."""

import logging
from collections import OrderedDict
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from kajitori.kit.clock import Clock
from kajitori.network.dns.upstream import Unreachable, Upstream
from kajitori.network.dns.zone import Answer, Zone

logger = logging.getLogger(__name__)

UDP_SIZE_MAX = 1232
"""Largest datagram that passes every path unfragmented (DNS flag day 2020)."""
TCP_SIZE_MAX = 65535
_PLAIN_UDP_SIZE = 512
_FOREVER_S = float("inf")


@dataclass(frozen=True, slots=True)
class ResponderConfig:
    ready_answers: int = 4096
    """Answers kept as bytes; beyond it the oldest goes."""
    upstream_keep_s: float = 10.0
    """Longest that an answer from outside is kept; its own TTL may ask for less."""
    negative_keep_s: float = 5.0


class _Ready:
    """An answer as bytes without its id, in each rotation of its addresses, so that clients spread."""

    __slots__ = ("expires_s", "turn", "variants")

    def __init__(self, variants: list[bytes], expires_s: float) -> None:
        self.variants = variants
        self.expires_s = expires_s
        self.turn = 0

    def next(self) -> bytes:
        self.turn = (self.turn + 1) % len(self.variants)
        return self.variants[self.turn]


class Responder:
    """`respond` is what both transports call. `forget` must be called when the zone's objects change."""

    ROTATIONS_MAX = 8

    def __init__(self, zone: Zone, upstream: Upstream, clock: Clock, config: ResponderConfig | None = None) -> None:
        self._zone = zone
        self._upstream = upstream
        self._clock = clock
        self._config = config or ResponderConfig()
        self._ready: OrderedDict[tuple[bytes, bool], _Ready] = OrderedDict()
        self._generation = 0

    def forget(self) -> None:
        self._ready.clear()
        self._generation += 1

    def respond_at_once(self, query: bytes, *, tcp: bool) -> bytes | None:
        """An answer that is ready; None when it has to be worked out."""
        ready = self._ready.get((query[2:], tcp))
        if ready is None or ready.expires_s <= self._clock.monotonic():
            return None
        return query[:2] + ready.next()

    async def respond(self, query: bytes, *, tcp: bool) -> bytes | None:
        """The answer; None for what deserves none, such as another answer."""
        if len(query) < 12 or query[2] & 0x80:
            return None
        if (query[2] >> 3) & 0xF != dns.opcode.QUERY:
            return _bare_refusal(query, dns.rcode.NOTIMP)
        try:
            message = dns.message.from_wire(query)
        except (dns.exception.DNSException, ValueError):
            return _refusal(query, dns.rcode.FORMERR)
        if len(message.question) != 1 or message.question[0].rdclass != dns.rdataclass.IN:
            return _refusal(query, dns.rcode.FORMERR if len(message.question) != 1 else dns.rcode.REFUSED)
        question = message.question[0]
        found = self._zone.answer(question.name, question.rdtype)
        if found is None:
            return await self._ask_upstream(query, tcp)
        return await self._answer(query, message, found, tcp)

    async def _answer(self, query: bytes, message: dns.message.Message, found: Answer, tcp: bool) -> bytes:
        generation, keep_s = self._generation, _FOREVER_S
        if found.follow is not None:
            keep_s = self._clock.monotonic() + self._config.negative_keep_s
            try:
                found.answers += await self._addresses_of(found.follow, message.question[0].rdtype)
            except Unreachable as unreachable:
                logger.debug("%s: %s", found.follow, unreachable)
                return _refusal(query, dns.rcode.SERVFAIL)
        variants = [
            _render(message, rotated, _size_max(message, tcp))[2:] for rotated in _rotations(found, self.ROTATIONS_MAX)
        ]
        if generation == self._generation:
            self._keep(query, tcp, _Ready(variants, keep_s))
        return query[:2] + variants[0]

    async def _addresses_of(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> list[dns.rrset.RRset]:
        answer = await self._upstream.ask(dns.message.make_query(name, kind).to_wire())
        try:
            return list(dns.message.from_wire(answer).answer)
        except dns.exception.DNSException as malformed:
            raise Unreachable(f"a resolver's answer makes no sense: {malformed}") from None

    async def _ask_upstream(self, query: bytes, tcp: bool) -> bytes:
        try:
            answer = await self._upstream.ask(query, tcp=tcp)
        except Unreachable as unreachable:
            logger.debug("%s", unreachable)
            return _refusal(query, dns.rcode.SERVFAIL)
        keep_s = self._keep_s(answer)
        if keep_s > 0:
            self._keep(query, tcp, _Ready([answer[2:]], self._clock.monotonic() + keep_s))
        return answer

    def _keep_s(self, answer: bytes) -> float:
        """How long an answer from outside may be given again."""
        try:
            message = dns.message.from_wire(answer, ignore_trailing=True)
        except dns.exception.DNSException:
            return 0.0
        if message.flags & dns.flags.TC or message.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            return 0.0
        if not message.answer:
            return self._config.negative_keep_s
        return min(self._config.upstream_keep_s, *(float(rrset.ttl) for rrset in message.answer))

    def _keep(self, query: bytes, tcp: bool, ready: _Ready) -> None:
        self._ready[query[2:], tcp] = ready
        while len(self._ready) > self._config.ready_answers:
            self._ready.popitem(last=False)


def _size_max(message: dns.message.Message, tcp: bool) -> int:
    if tcp:
        return TCP_SIZE_MAX
    return max(_PLAIN_UDP_SIZE, min(message.payload, UDP_SIZE_MAX)) if message.edns >= 0 else _PLAIN_UDP_SIZE


def _rotations(found: Answer, limit: int) -> list[Answer]:
    last = found.answers[-1] if found.answers else None
    if last is None or len(last) < 2:
        return [found]
    records = list(last)
    turned = []
    for shift in range(min(len(records), limit)):
        rrset = dns.rrset.RRset(last.name, last.rdclass, last.rdtype)
        rrset.update_ttl(last.ttl)
        for record in records[shift:] + records[:shift]:
            rrset.add(record)
        turned.append(Answer(found.rcode, [*found.answers[:-1], rrset], found.additional, found.authority))
    return turned


def _render(question: dns.message.Message, found: Answer, size_max: int) -> bytes:
    """All of it in the order given, else without the additional records, else as many as fit, marked as truncated."""
    response = dns.message.make_response(question, recursion_available=True, our_payload=UDP_SIZE_MAX)
    response.set_rcode(found.rcode)
    response.flags |= dns.flags.AA
    response.answer, response.additional, response.authority = found.answers, list(found.additional), found.authority
    try:
        return response.to_wire(max_size=size_max, want_shuffle=False)
    except dns.exception.TooBig:
        response.additional = []
    records = [(rrset, record) for rrset in found.answers for record in rrset]
    kept = len(records)
    while True:
        try:
            return response.to_wire(max_size=size_max, want_shuffle=False)
        except dns.exception.TooBig:
            kept //= 2
            response.flags |= dns.flags.TC
            response.answer = [_single(rrset, record) for rrset, record in records[:kept]]


def _single(rrset: dns.rrset.RRset, record: object) -> dns.rrset.RRset:
    alone = dns.rrset.RRset(rrset.name, rrset.rdclass, rrset.rdtype)
    alone.add(record, rrset.ttl)  # type: ignore[arg-type]
    return alone


def _refusal(query: bytes, rcode: dns.rcode.Rcode) -> bytes:
    """An answer that only says why; the question is repeated when it can be read."""
    try:
        message = dns.message.from_wire(query, question_only=True)
        response = dns.message.make_response(message, recursion_available=True)
        response.set_rcode(rcode)
        return response.to_wire()
    except (dns.exception.DNSException, ValueError):
        return _bare_refusal(query, rcode)


def _bare_refusal(query: bytes, rcode: dns.rcode.Rcode) -> bytes:
    """A header alone (RFC 1035 4.1.1): response and recursion available, opcode and recursion desired as asked."""
    flags = 0x8000 | (query[2] & 0x79) << 8 | 0x80 | int(rcode)
    return query[:2] + flags.to_bytes(2, "big") + bytes(8)
