"""What of the server's parts is measured, under upstream's names."""

from collections.abc import Callable, Iterator

from kajitori.apiserver import process_figures
from kajitori.apiserver.exposition import Distribution, Family, Labels
from kajitori.apiserver.flow import measures
from kajitori.apiserver.flow.control import FlowControl
from kajitori.apiserver.metrics import Metrics
from kajitori.apiserver.store_size import StoreSize
from kajitori.apiserver.watch_cache.cache import WatchCache
from kajitori.apiserver.watch_cache.kind import HISTORY_EVENTS, KindCache, WatchEvents


def measure(metrics: Metrics, flow: FlowControl, cache: WatchCache, size: StoreSize, version: dict[str, str]) -> None:
    for family in (*measures.families(flow), *process_figures.families()):
        metrics.register(family)
    metrics.gauge("apiserver_storage_size_bytes", "What the store takes on its disk.", size.gauge)
    metrics.gauge(
        "apiserver_current_inflight_requests",
        "Requests under way, without watches and streams.",
        lambda: [({"request_kind": "mutating"}, flow.mutating), ({"request_kind": "readOnly"}, flow.reading)],
    )
    metrics.gauge(
        "apiserver_storage_objects",
        "Objects by resource.",
        lambda: [({"resource": f"{plural}.{group}" if group else plural}, n) for group, plural, n in _objects(cache)],
    )
    metrics.gauge(
        "apiserver_resource_objects",
        "Objects by group and resource.",
        lambda: [({"group": group, "resource": plural}, count) for group, plural, count in _objects(cache)],
    )
    metrics.gauge(
        "apiserver_resource_size_estimate_bytes",
        "Bytes of the objects by group and resource.",
        lambda: [(_labels(kind), kind.size_bytes) for kind in cache.kinds()],
    )
    metrics.gauge("apiserver_longrunning_requests", "Watches under way.", lambda: _watches(cache))
    _measure_cache(metrics, cache)
    metrics.counter("apiserver_audit_event_total", "Audit events handed to the sinks.", lambda: [({}, 0)])
    metrics.counter("apiserver_audit_requests_rejected_total", "Requests refused for want of one.", lambda: [({}, 0)])
    named = {
        "major": version["major"],
        "minor": version["minor"],
        "git_version": version["gitVersion"],
        "git_commit": version["gitCommit"],
        "git_tree_state": version["gitTreeState"],
        "build_date": version["buildDate"],
        "go_version": version["goVersion"],
        "compiler": version["compiler"],
        "platform": version["platform"],
    }
    metrics.gauge("kubernetes_build_info", "What this is; always 1.", lambda: [(named, 1)])
    spoken = {
        "binary": version["gitVersion"].lstrip("v").partition("+")[0],
        "component": "kube",
        "emulation": f"{version['emulationMajor']}.{version['emulationMinor']}",
        "min_compat": f"{version['minCompatibilityMajor']}.{version['minCompatibilityMinor']}",
    }
    metrics.gauge("version_info", "What version it speaks as; always 1.", lambda: [(spoken, 1)])


def _measure_cache(metrics: Metrics, cache: WatchCache) -> None:
    def kinds(value: Callable[[KindCache], float]) -> Callable[[], list[tuple[Labels, float]]]:
        return lambda: [(_labels(kind), found) for kind in cache.kinds() if (found := value(kind))]

    received = kinds(lambda kind: kind.received)
    metrics.counter("apiserver_watch_cache_events_received_total", "Changes that the cache was told of.", received)
    metrics.counter("apiserver_watch_cache_events_dispatched_total", "Changes that the cache told of.", received)
    metrics.counter("apiserver_storage_events_received_total", "Changes that the store told of.", received)
    metrics.counter("apiserver_watch_cache_initializations_total", "Kinds that the cache holds.", kinds(lambda _: 1))
    metrics.gauge("watch_cache_capacity", "Changes that are remembered at most.", kinds(lambda _: HISTORY_EVENTS))
    metrics.gauge(
        "apiserver_watch_cache_resource_version",
        "The revision that the cache has seen.",
        lambda: [(_labels(kind), cache.revision) for kind in cache.kinds()],
    )

    def sent() -> Iterator[tuple[Labels, WatchEvents, int]]:
        for kind in cache.kinds():
            if kind.resource is not None and (count := sum(kind.sent.sizes)):
                yield {**_labels(kind), "version": kind.resource.version}, kind.sent, count

    metrics.counter(
        "apiserver_watch_events_total",
        "Events sent to watchers, without those of a watch's beginning.",
        lambda: [(labels, count) for labels, _, count in sent()],
    )
    metrics.register(
        Family(
            "apiserver_watch_events_sizes",
            "histogram",
            "Bytes of the objects in them.",
            lambda: [
                (labels, Distribution(WatchEvents.BUCKETS, found.sizes, found.bytes)) for labels, found, _ in sent()
            ],
        )
    )


def _labels(kind: KindCache) -> Labels:
    _, _, group, plural, *_ = kind.prefix.split("/")
    return {"group": "" if group == "core" else group, "resource": plural}


def _objects(cache: WatchCache) -> Iterator[tuple[str, str, int]]:
    """Group, plural, how many."""
    for kind in cache.kinds():
        _, _, group, plural, *_ = kind.prefix.split("/")
        yield "" if group == "core" else group, plural, len(kind)


def _watches(cache: WatchCache) -> list[tuple[Labels, float]]:
    """By scope too: of one object, of a namespace, of all."""
    counts: dict[tuple[str, ...], int] = {}
    for kind in cache.kinds():
        of = _labels(kind)
        version = kind.resource.version if kind.resource is not None else ""
        for watcher in kind.watchers():
            chosen = watcher.selection
            name = chosen.name or chosen.fields.required("metadata.name")
            scope = "resource" if name else "namespace" if chosen.namespace else "cluster"
            key = (of["group"], version, of["resource"], scope)
            counts[key] = counts.get(key, 0) + watcher.count
    names = ("group", "version", "resource", "scope")
    rest = {"verb": "WATCH", "subresource": "", "component": "apiserver"}
    return [({**rest, **dict(zip(names, key, strict=True))}, count) for key, count in counts.items() if count]
