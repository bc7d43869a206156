"""/healthz, /livez, /readyz: named checks, alone or all together, `?verbose` for the list, `?exclude=` to leave out."""

import logging
from collections.abc import Callable

from kajitori.apiserver.http_types import RequestContext, Response

log = logging.getLogger(__name__)

Check = Callable[[], str]
"""Why it fails; "" when it is well."""

ENDPOINTS = ("healthz", "livez", "readyz")
_TEXT = "text/plain; charset=utf-8"


class Health:
    """Readiness checks are those of liveness and some more."""

    def __init__(self) -> None:
        self.live: dict[str, Check] = {"ping": lambda: ""}
        self.ready: dict[str, Check] = {}

    def respond(self, context: RequestContext) -> Response | None:
        """None when the path is none of these."""
        endpoint, _, one = context.path.strip("/").partition("/")
        if endpoint not in ENDPOINTS:
            return None
        checks = {**self.live, **self.ready} if endpoint == "readyz" else self.live
        if one:
            if one not in checks:
                return None
            checks = {one: checks[one]}
        excluded = set(context.query.all("exclude"))
        failures = {name: why for name, check in checks.items() if name not in excluded and (why := check())}
        if failures:
            log.warning("%s failed: %s", endpoint, "; ".join(f"{name}: {why}" for name, why in failures.items()))
        if not failures and not context.query.flag("verbose"):
            return Response(200, b"ok", _TEXT)
        lines = []
        for name in checks:
            if name in excluded:
                lines.append(f"[+]{name} excluded: ok")
            else:
                lines.append(f"[-]{name} failed: {failures[name]}" if name in failures else f"[+]{name} ok")
        lines.append(f"{endpoint} check {'failed' if failures else 'passed'}")
        return Response(500 if failures else 200, ("\n".join(lines) + "\n").encode(), _TEXT)
