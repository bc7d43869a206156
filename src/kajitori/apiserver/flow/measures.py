"""apiserver_flowcontrol_*: upstream's names for what the levels and schemas count."""

from collections.abc import Callable, Iterator
from functools import partial

from kajitori.apiserver.exposition import Distribution, Family, Labels, Sample
from kajitori.apiserver.flow.control import FlowControl
from kajitori.apiserver.flow.level import Level
from kajitori.apiserver.flow.tally import LENGTH_BUCKETS, WAIT_BUCKETS_S, Tally

_PREFIX = "apiserver_flowcontrol_"
_OF_LEVEL: tuple[tuple[str, str, Callable[[Level], float]], ...] = (
    ("nominal_limit_seats", "Seats by shares alone.", lambda level: level.seats.nominal),
    ("lower_limit_seats", "Seats that are never lent.", lambda level: level.seats.lower),
    ("upper_limit_seats", "Seats that borrowing may reach.", lambda level: level.seats.upper),
    (
        "current_limit_seats",
        "Seats now, after lending.",
        lambda level: level.seats.nominal if level.exempt else level.limit,
    ),
    ("demand_seats_high_watermark", "Most seats in use since seats were last divided.", lambda level: level.peak),
    ("target_seats", "Seats that it should have, were there enough.", lambda level: level.target),
    ("demand_seats_smoothed", "Demand, smoothed.", lambda level: level.smoothed),
)
_OF_SCHEMA: tuple[tuple[str, str, Callable[[Tally], float]], ...] = (
    ("current_inqueue_requests", "Requests that wait.", lambda tally: tally.waiting),
    ("current_inqueue_seats", "Seats that are waited for.", lambda tally: tally.waiting_seats),
    ("current_executing_requests", "Requests that run.", lambda tally: tally.executing),
    ("current_executing_seats", "Seats in use.", lambda tally: tally.seats),
)


def families(control: FlowControl) -> Iterator[Family]:
    for name, help, of_level in _OF_LEVEL:
        yield Family(_PREFIX + name, "gauge", help, partial(_levels, control, of_level))
    for name, help, of_schema in _OF_SCHEMA:
        yield Family(_PREFIX + name, "gauge", help, partial(_schemas, control, of_schema))
    yield Family(
        f"{_PREFIX}dispatched_requests_total",
        "counter",
        "Requests that ran.",
        partial(_schemas, control, lambda tally: tally.dispatched),
    )
    yield Family(f"{_PREFIX}rejected_requests_total", "counter", "Requests refused.", partial(_rejected, control))
    yield Family(
        f"{_PREFIX}request_wait_duration_seconds", "histogram", "How long requests waited.", partial(_waits, control)
    )
    yield Family(
        f"{_PREFIX}request_queue_length_after_enqueue",
        "histogram",
        "Length of the queue as who joined it saw it.",
        partial(_lengths, control),
    )


def _levels(control: FlowControl, value: Callable[[Level], float]) -> list[Sample]:
    return [({"priority_level": name}, value(level)) for name, level in control.configuration.levels.items()]


def _labelled(control: FlowControl) -> Iterator[tuple[Labels, Tally]]:
    for (level, schema), tally in control.tallies.items():
        yield {"flow_schema": schema, "priority_level": level}, tally


def _schemas(control: FlowControl, value: Callable[[Tally], float]) -> list[Sample]:
    return [(labels, value(tally)) for labels, tally in _labelled(control)]


def _rejected(control: FlowControl) -> list[Sample]:
    return [
        ({**labels, "reason": reason}, count)
        for labels, tally in _labelled(control)
        for reason, count in tally.rejected.items()
    ]


def _waits(control: FlowControl) -> Iterator[Sample]:
    """Who found a seat at once waited 0 s; that is not counted one by one."""
    for labels, tally in _labelled(control):
        for ran, counts in tally.waited.items():
            at_once = tally.dispatched - sum(counts) if ran else 0
            shown = [counts[0] + max(at_once, 0), *counts[1:]]
            if any(shown):
                found = Distribution(WAIT_BUCKETS_S, shown, tally.waited_sum_s[ran])
                yield {**labels, "execute": "true" if ran else "false"}, found


def _lengths(control: FlowControl) -> list[Sample]:
    return [
        (labels, Distribution(LENGTH_BUCKETS, tally.lengths, tally.lengths_sum))
        for labels, tally in _labelled(control)
        if any(tally.lengths)
    ]
