"""What of the server's parts is measured, under upstream's names."""

from collections.abc import Iterator

from kajitori.apiserver import process_figures
from kajitori.apiserver.exposition import Labels
from kajitori.apiserver.flow import measures
from kajitori.apiserver.flow.control import FlowControl
from kajitori.apiserver.metrics import Metrics
from kajitori.apiserver.store_size import StoreSize
from kajitori.apiserver.watch_cache.cache import WatchCache


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
    metrics.gauge("apiserver_longrunning_requests", "Watches under way.", lambda: _watches(cache))
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


def _objects(cache: WatchCache) -> Iterator[tuple[str, str, int]]:
    """Group, plural, how many."""
    for kind in cache.kinds():
        _, _, group, plural, *_ = kind.prefix.split("/")
        yield "" if group == "core" else group, plural, len(kind)


def _watches(cache: WatchCache) -> Iterator[tuple[Labels, float]]:
    for kind in cache.kinds():
        if watchers := len(kind.watchers()):
            _, _, group, plural, *_ = kind.prefix.split("/")
            labels = {"verb": "WATCH", "group": "" if group == "core" else group, "resource": plural}
            yield {**labels, "subresource": "", "component": "apiserver"}, watchers
