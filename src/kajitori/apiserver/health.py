"""/healthz, /livez, /readyz: named checks, alone or all together, `?verbose` for the list, `?exclude=` to leave out.

Anybody may ask, so the list withholds why a check fails; a check asked for alone says it, and so does the log.
"""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping

from kajitori.apiserver.exposition import Family, Sample
from kajitori.apiserver.http_types import RequestContext, Response

log = logging.getLogger(__name__)

Check = Callable[[], str | Awaitable[str]]
"""Why it fails; "" when it is well. One that has to ask elsewhere is awaited."""

ENDPOINTS = ("healthz", "livez", "readyz")
_TEXT = "text/plain; charset=utf-8"
_NO_GUESSING = (("X-Content-Type-Options", "nosniff"),)


class Health:
    """Readiness checks are those of liveness and some more."""

    def __init__(self) -> None:
        self._results: dict[tuple[str, str], bool] = {}
        self._counts: Counter[tuple[str, str, bool]] = Counter()
        # Log lines are written as they come: there is no writer that could be stuck.
        self.live: dict[str, Check] = {"ping": lambda: "", "log": lambda: ""}
        self.ready: dict[str, Check] = {}

    def paths(self) -> Iterator[str]:
        for endpoint in ENDPOINTS:
            yield f"/{endpoint}"
            yield from (f"/{endpoint}/{name}" for name in self._checks(endpoint))

    def _checks(self, endpoint: str) -> Mapping[str, Check]:
        return {**self.live, **self.ready} if endpoint == "readyz" else self.live

    async def respond(self, context: RequestContext) -> Response | None:
        """None when the path is none of these."""
        endpoint, slash, one = context.path.removeprefix("/").partition("/")
        if endpoint not in ENDPOINTS or (slash and not one):
            return None
        checks = self._checks(endpoint)
        if one:
            return await _alone(checks[one]) if one in checks else None
        excluded = set(context.query.all("exclude"))
        found = {name: await run_check(check) for name, check in checks.items() if name not in excluded}
        for name, why in found.items():
            self._results[name, endpoint] = not why
            self._counts[name, endpoint, not why] += 1
        failures = {name: why for name, why in found.items() if why}
        if failures:
            log.warning("%s failed: %s", endpoint, "; ".join(f"{name}: {why}" for name, why in failures.items()))
        elif "verbose" not in context.query.values:
            return Response(200, b"ok", _TEXT, _NO_GUESSING)
        return _list(endpoint, checks, excluded, failures)

    def families(self) -> Iterator[Family]:
        """How the checks went that were asked for: /metrics/slis."""
        yield Family("kubernetes_healthcheck", "gauge", "How each check went last: 1 well, 0 not.", self._last)
        help = "How often each check was made, by how it went."
        yield Family("kubernetes_healthchecks_total", "counter", help, self._made)

    def _last(self) -> Iterator[Sample]:
        for (name, endpoint), well in self._results.items():
            yield {"name": name, "type": endpoint}, float(well)

    def _made(self) -> Iterator[Sample]:
        for (name, endpoint, well), number in self._counts.items():
            yield {"name": name, "type": endpoint, "status": "success" if well else "error"}, number


async def run_check(check: Check) -> str:
    """Why it fails; "" when it is well."""
    found = check()
    return found if isinstance(found, str) else await found


async def _alone(check: Check) -> Response:
    if why := await run_check(check):
        return Response(500, f"internal server error: {why}\n".encode(), _TEXT, _NO_GUESSING)
    return Response(200, b"ok", _TEXT)


def _list(endpoint: str, checks: Mapping[str, Check], excluded: set[str], failures: Mapping[str, str]) -> Response:
    lines = []
    for name in checks:
        if name in excluded:
            lines.append(f"[+]{name} excluded: ok")
        else:
            lines.append(f"[-]{name} failed: reason withheld" if name in failures else f"[+]{name} ok")
    if unknown := sorted(excluded.difference(checks)):
        quoted = ",".join(f'"{name}"' for name in unknown)
        lines.append(f"warn: some health checks cannot be excluded: no matches for {quoted}")
    lines.append(f"{endpoint} check {'failed' if failures else 'passed'}")
    return Response(500 if failures else 200, ("\n".join(lines) + "\n").encode(), _TEXT, _NO_GUESSING)
