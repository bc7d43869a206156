"""/metrics: requests as upstream counts them, and whatever else the server's parts register.

Counting happens on the way of every request, so it is a look-up and a few additions; names, labels and text are made
only when somebody scrapes.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable

from kajitori.api.resource import Resource
from kajitori.apiserver.exposition import (
    OPEN_METRICS,
    TEXT,
    Distribution,
    Family,
    Labels,
    exposition,
    wants_open_metrics,
)
from kajitori.apiserver.http_types import Response
from kajitori.apiserver.request_info import RequestInfo
from kajitori.apiserver.series import Counter

BUCKETS_S = (0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60)
SIZE_BUCKETS = (1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9)
ACCESS_BUCKETS_S = tuple(0.001 * 2**power for power in range(15))
_SLI_SKIPS = 2
"""The buckets of request_sli_duration_seconds begin at 50 ms."""
_VERBS = {
    "get": "GET",
    "list": "LIST",
    "watch": "WATCH",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETECOLLECTION",
}
_CONNECTING = frozenset(("attach", "exec", "log", "portforward", "proxy"))
_METHODS = frozenset(("get", "head", "post", "put", "patch", "delete", "options"))
_SIZED = frozenset(("GET", "LIST"))
_LABELS = ("verb", "group", "version", "resource", "subresource", "scope", "component")
Gauge = Callable[[], Iterable[tuple[Labels, float]]]
_Key = tuple[str, str, str, str, str, bool, bool]


def figures(families: Iterable[Family], accept: str) -> Response:
    opened = wants_open_metrics(accept)
    return Response(200, exposition(families, opened), OPEN_METRICS if opened else TEXT)


class _Series:
    """The requests of one kind. Only these names become labels."""

    __slots__ = ("buckets", "codes", "labels", "size_buckets", "size_sum", "sum_s")

    def __init__(self, labels: tuple[str, ...]) -> None:
        self.labels = labels
        self.codes: dict[int, int] = {}
        self.buckets = [0] * (len(BUCKETS_S) + 1)
        self.sum_s = 0.0
        self.size_buckets = [0] * (len(SIZE_BUCKETS) + 1) if labels[0] in _SIZED else None
        self.size_sum = 0


class Metrics:
    """What is not served is counted without a name: what strangers make up must not fill the memory."""

    def __init__(self) -> None:
        self._aborted = Counter(
            "apiserver_request_aborts_total",
            "Requests whose client went away.",
            "verb group version resource subresource scope",
        )
        self._requested_deprecated: dict[tuple[str, str, str, str], None] = {}
        self._refused: dict[str, int] = {}
        self._who_s, self._whether_s = ([0] * (len(ACCESS_BUCKETS_S) + 1) for _ in range(2))
        self._who_sum_s = self._whether_sum_s = 0.0
        self._series: dict[_Key, _Series] = {}
        self._by_labels: dict[tuple[str, ...], _Series] = {}
        self._families: dict[str, Family] = {}
        self._register_requests()

    def observe(self, info: RequestInfo, resource: Resource | None, response: Response, duration_s: float) -> None:
        key = (
            info.verb,
            info.resource,
            info.group,
            info.version,
            info.subresource,
            info.name != "",
            info.namespace != "",
        )
        series = self._series.get(key) or self._series_of(info, resource, key)
        code = response.status
        series.codes[code] = series.codes.get(code, 0) + 1
        series.buckets[bisect_left(BUCKETS_S, duration_s)] += 1
        series.sum_s += duration_s
        if series.size_buckets is not None:
            size = len(response.body)
            series.size_buckets[bisect_left(SIZE_BUCKETS, size)] += 1
            series.size_sum += size

    def _series_of(self, info: RequestInfo, resource: Resource | None, key: _Key) -> _Series:
        part, known = info.subresource, resource is not None
        if resource is not None and part and not resource.has_subresource(part):
            part, known = "", False
        verb = _VERBS.get(info.verb, "CONNECT" if part else "")
        if part in _CONNECTING:
            verb = "CONNECT"
        if resource is None:
            verb = info.verb.upper() if info.verb in _METHODS or info.verb in _VERBS else "OTHER"
            labels = (verb, "", "", "", "", "", "apiserver")
        else:
            labels = (verb, info.group, info.version, info.resource, part, _scope(info), "apiserver")
        series = self._by_labels.get(labels)
        if series is None:
            series = self._by_labels[labels] = _Series(labels)
        if known:
            self._series[key] = series
            if resource is not None and resource.deprecation:
                self._requested_deprecated[info.group, info.version, info.resource, part] = None
        return series

    def aborted(self, info: RequestInfo, resource: Resource | None) -> None:
        """The client went away before its answer."""
        if resource is not None:
            labels = (_VERBS.get(info.verb, "CONNECT"), info.group, info.version, info.resource, info.subresource)
            self._aborted.add(*labels, _scope(info))

    def asked_who(self, duration_s: float) -> None:
        """It took so long to know who asks; only where memory alone did not tell."""
        self._who_s[bisect_left(ACCESS_BUCKETS_S, duration_s)] += 1
        self._who_sum_s += duration_s

    def asked_whether(self, duration_s: float) -> None:
        """The same for whether they may."""
        self._whether_s[bisect_left(ACCESS_BUCKETS_S, duration_s)] += 1
        self._whether_sum_s += duration_s

    def refused(self, verdict: str) -> None:
        """Authorization said no: "denied" or "no-opinion"."""
        self._refused[verdict] = self._refused.get(verdict, 0) + 1

    def register(self, family: Family) -> None:
        """A family that is read when it is scraped; one of the same name is replaced."""
        self._families[family.name] = family

    def gauge(self, name: str, help: str, read: Gauge) -> None:
        self.register(Family(name, "gauge", help, read))

    def counter(self, name: str, help: str, read: Gauge) -> None:
        self.register(Family(name, "counter", help, read))

    def render(self, accept: str = "") -> Response:
        return figures(sorted(self._families.values(), key=lambda family: family.name), accept)

    def _attempts(self) -> list[tuple[Labels, float]]:
        """Who was not known got 401, and nothing else is answered so."""
        codes = [series.codes for series in self._by_labels.values()]
        failed = sum(found.get(401, 0) for found in codes)
        return [
            ({"result": "failure"}, failed),
            ({"result": "success"}, sum(sum(found.values()) for found in codes) - failed),
        ]

    def _known_and_allowed(self) -> tuple[int, int]:
        """How many requests were known to be somebody's, and of those allowed."""
        codes = [series.codes for series in self._by_labels.values()]
        known = sum(sum(found.values()) - found.get(401, 0) for found in codes)
        return known, max(known - sum(self._refused.values()), 0)

    def _access(self, total: int, asked: list[int], sum_s: float) -> Distribution:
        """Memory answers in far less than the first bound; that is counted, but not timed."""
        return Distribution(ACCESS_BUCKETS_S, [asked[0] + max(total - sum(asked), 0), *asked[1:]], sum_s)

    def _register_access(self) -> None:
        self.counter(
            "authorization_attempts_total",
            "Requests by what authorization said.",
            lambda: (
                [({"result": "allowed"}, self._known_and_allowed()[1])]
                + [({"result": verdict}, count) for verdict, count in self._refused.items()]
            ),
        )
        self.register(self._aborted.family)
        self.gauge(
            "apiserver_requested_deprecated_apis",
            "Deprecated kinds that were asked for; always 1.",
            lambda: [
                ({"group": g, "version": v, "resource": r, "subresource": part, "removed_release": ""}, 1)
                for g, v, r, part in self._requested_deprecated
            ],
        )
        self.register(
            Family(
                "authentication_duration_seconds",
                "histogram",
                "How long it took to know who asks; what memory tells is counted as no time.",
                lambda: [
                    ({"result": "success"}, self._access(self._known_and_allowed()[0], self._who_s, self._who_sum_s))
                ],
            )
        )
        self.register(
            Family(
                "authorization_duration_seconds",
                "histogram",
                "How long it took to know whether they may; what memory tells is counted as no time.",
                lambda: [
                    (
                        {"result": "allowed"},
                        self._access(self._known_and_allowed()[1], self._whether_s, self._whether_sum_s),
                    )
                ],
            )
        )

    def _register_requests(self) -> None:
        self._register_access()

        def series() -> list[tuple[Labels, _Series]]:
            return [(dict(zip(_LABELS, labels, strict=True)), found) for labels, found in self._by_labels.items()]

        self.counter(
            "apiserver_request_total",
            "Requests by verb, resource, scope and HTTP status.",
            lambda: [
                ({**labels, "dry_run": "", "code": str(code)}, count)
                for labels, found in series()
                for code, count in found.codes.items()
            ],
        )
        self.counter("authentication_attempts", "Requests by whether their sender was known.", self._attempts)
        families = (
            Family(
                "apiserver_request_duration_seconds",
                "histogram",
                "From the request's last byte to its answer.",
                lambda: [
                    ({**labels, "dry_run": ""}, Distribution(BUCKETS_S, found.buckets, found.sum_s))
                    for labels, found in series()
                    if labels["verb"] != "WATCH"
                ],
            ),
            Family(
                "apiserver_request_sli_duration_seconds",
                "histogram",
                "From the request's last byte to its answer, for service level indicators.",
                lambda: [(labels, _coarse(found)) for labels, found in series() if labels["verb"] != "WATCH"],
            ),
            Family(
                "apiserver_response_sizes",
                "histogram",
                "Bytes of the answers to GET and LIST.",
                lambda: [
                    (labels, Distribution(SIZE_BUCKETS, found.size_buckets, found.size_sum))
                    for labels, found in series()
                    if found.size_buckets is not None
                ],
            ),
        )
        for family in families:
            self.register(family)


def _scope(info: RequestInfo) -> str:
    if info.name or info.verb == "create":
        return "resource"
    return "namespace" if info.namespace else "cluster"


def _coarse(found: _Series) -> Distribution:
    first = sum(found.buckets[: _SLI_SKIPS + 1])
    return Distribution(BUCKETS_S[_SLI_SKIPS:], (first, *found.buckets[_SLI_SKIPS + 1 :]), found.sum_s)
