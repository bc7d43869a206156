"""/debug/api_priority_and_fairness/dump_*: the levels, the queues, the requests that wait, as tables for a person."""

from collections.abc import Iterable, Sequence

from kajitori.apiserver.flow.control import FlowControl
from kajitori.apiserver.http_types import Response

PREFIX = "/debug/api_priority_and_fairness"
_LEVELS = (
    "PriorityLevelName",
    "ActiveQueues",
    "IsIdle",
    "IsQuiescing",
    "WaitingRequests",
    "ExecutingRequests",
    "DispatchedRequests",
    "RejectedRequests",
    "TimedoutRequests",
    "CancelledRequests",
)
_QUEUES = ("PriorityLevelName", "Index", "PendingRequests", "SeatsWaitedFor", "NextDispatchR")
_REQUESTS = (
    "PriorityLevelName",
    "FlowSchemaName",
    "QueueIndex",
    "RequestIndexInQueue",
    "FlowDistingsher",
    "WaitedSeconds",
    "InitialSeats",
)


def respond(control: FlowControl, path: str, now_s: float) -> Response | None:
    """None when the path is none of these."""
    match path.removeprefix(f"{PREFIX}/"):
        case "dump_priority_levels":
            return _table(_LEVELS, _levels(control))
        case "dump_queues":
            return _table(_QUEUES, _queues(control))
        case "dump_requests":
            return _table(_REQUESTS, _requests(control, now_s))
    return None


def _levels(control: FlowControl) -> Iterable[Sequence[object]]:
    for name, level in sorted(control.configuration.levels.items()):
        tallies = [tally for (of, _), tally in control.tallies.items() if of == name]
        reasons: dict[str, int] = {}
        for tally in tallies:
            for reason, count in tally.rejected.items():
                reasons[reason] = reasons.get(reason, 0) + count
        yield (
            name,
            sum(1 for _ in level.queues.lines()),
            _shown(level.demand == 0),
            _shown(False),
            level.queues.waiting,
            sum(tally.executing for tally in tallies),
            sum(tally.dispatched for tally in tallies),
            reasons.get("queue-full", 0) + reasons.get("concurrency-limit", 0),
            reasons.get("time-out", 0),
            reasons.get("cancelled", 0),
        )


def _queues(control: FlowControl) -> Iterable[Sequence[object]]:
    for name, level in sorted(control.configuration.levels.items()):
        for index, line, tag in level.queues.lines():
            yield name, index, len(line), sum(waiting.width for waiting in line), f"{tag:.6f}ss"


def _requests(control: FlowControl, now_s: float) -> Iterable[Sequence[object]]:
    for name, level in sorted(control.configuration.levels.items()):
        for index, line, _ in level.queues.lines():
            for position, waiting in enumerate(line):
                schema, _, distinguisher = waiting.schema.partition("\0")
                yield name, schema, index, position, distinguisher, f"{now_s - waiting.arrived_s:.3f}", waiting.width


def _shown(flag: bool) -> str:
    return "true" if flag else "false"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in cells) + 2 for column in range(len(head))]
    lines = ("".join(f"{cell},".ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)
    return Response(200, "".join(line.rstrip().rstrip(",") + "\n" for line in lines).encode(), "text/plain")
