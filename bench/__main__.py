"""The numbers, as one table: what a user of one machine waits for, and how much the API server answers.

    ./run bench                              everything, on clusters of this machine's own (needs root)
    ./run bench --server URL --token T       only the API server's part, of any Kubernetes; TLS is not verified

Each figure stands beside the goal it is held against. Nothing here fails: tests judge behaviour, this reports speed.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import uvloop

from bench import flat_cost
from bench.cluster import running
from bench.connection import Target
from bench.load import Load
from bench.node import measure_idle, measure_pods, measure_start


async def _load(target: Target, pid: int | None, arguments: argparse.Namespace) -> None:
    load = Load(target, pid, arguments.connections, arguments.seconds)
    async for rate in load.all():
        print(rate.row(), flush=True)
    if (resident_mb := load.resident_mb()) is not None:
        print(f"resident memory afterwards: {resident_mb:.0f} MB")


@contextmanager
def _own_server() -> Iterator[tuple[Target, int]]:
    """A control plane without controllers: what is measured is the API server alone."""
    with running(("--nodes", "0", "--disable", "scheduler,controllers")) as (cluster, _):
        cluster.kubectl("create", "serviceaccount", "default")
        cluster.kubectl("create", "serviceaccount", "bench")
        binding = ("create", "clusterrolebinding", "bench", "--clusterrole=cluster-admin")
        cluster.kubectl(*binding, "--serviceaccount=default:bench")
        token = cluster.kubectl("create", "token", "bench", "--duration=2h").strip()
        server = cluster.kubectl("config", "view", "-o", "jsonpath={.clusters[0].cluster.server}")
        yield Target(server, token), cluster.pid_of("apiserver")


def _measure_node(arguments: argparse.Namespace) -> None:
    for figure in measure_start(arguments.rounds):
        print(figure.row(), flush=True)
    with running(()) as (cluster, _):
        for figure in measure_idle(cluster):
            print(figure.row(), flush=True)
        for figure in measure_pods(cluster, arguments.pods):
            print(figure.row(), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="./run bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--server", help="measure this API server instead of one of our own")
    token = os.environ.get("KAJITORI_BENCH_TOKEN")
    parser.add_argument(
        "--token", default=token, help="bearer token of an administrator there; KAJITORI_BENCH_TOKEN hides it from ps"
    )
    parser.add_argument("--pid", type=int, help="its process, where it is on this machine: CPU and memory are shown")
    parser.add_argument("--only", choices=("node", "api"), help="one half of the table")
    parser.add_argument("--rounds", type=int, default=3, help="starts to measure (default 3)")
    parser.add_argument("--pods", type=int, default=10, help="pods to time (default 10)")
    parser.add_argument("--connections", type=int, default=32, help="clients at a time (default 32)")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each kind of load lasts (default 5)")
    arguments = parser.parse_args()
    if arguments.server:
        if not arguments.token:
            parser.error("--server needs --token: a bearer token of an administrator of that cluster")
        uvloop.run(_load(Target(arguments.server, arguments.token), arguments.pid, arguments))
        return
    if arguments.only != "api":
        if os.geteuid() != 0:
            sys.exit("bench: real nodes need root; without them: --only api")
        _measure_node(arguments)
    if arguments.only != "node":
        with _own_server() as (target, pid):
            uvloop.run(_load(target, pid, arguments))
        flat_cost.show(flat_cost.SHORT_SIZES)


if __name__ == "__main__":
    main()
