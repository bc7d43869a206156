"""`kajitori up`: check the host, prepare certificates, become the supervisor or start one and show its progress."""

import asyncio
import errno
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import click

from kajitori.app.doctor import Finding, node_findings
from kajitori.app.layout import Layout
from kajitori.app.locks import is_running
from kajitori.app.prepare import prepare
from kajitori.app.record import ClusterRecord, read_record, write_record
from kajitori.app.supervise import NOTIFY
from kajitori.cli.interface import CommandError, UpOptions
from kajitori.network.errors import NetworkError
from kajitori.network.host import prepare_host
from kajitori.network.layout import ClusterNetwork


def up(options: UpOptions) -> None:
    layout = Layout(options.data_dir)
    record = _record(options)
    _refuse_what_cannot_work(layout, record)
    _make_data_dir(layout)
    prepare(layout, record, time.time())
    if record.nodes:
        _prepare_network(record)
    write_record(layout, record)
    command = [sys.executable, "-m", "kajitori.app.supervise", str(layout.root)]
    if options.detach or options.wait:
        _start_and_watch(command, layout, wait=options.wait, detach=options.detach)
    else:
        click.echo(f"kubeconfig: {layout.kubeconfig}   logs: {layout.logs}   stop: Ctrl-C or `kajitori down`", err=True)
        os.execv(command[0], command)


def _prepare_network(record: ClusterRecord) -> None:
    """The bridge and the namespaces that the node processes enter."""
    try:
        asyncio.run(prepare_host(ClusterNetwork(), record.nodes))
    except NetworkError as error:
        raise CommandError(str(error)) from error


def _record(options: UpOptions) -> ClusterRecord:
    if options.store not in ("sqlite", "memory") and not options.store.startswith("etcd://"):
        raise CommandError(f"--store {options.store}: unknown; choose sqlite, memory or etcd://HOST:PORT,...")
    return ClusterRecord(
        port=options.port,
        nodes=options.nodes,
        store=options.store,
        disable=tuple(sorted(options.disable)),
        http_port=options.http_port,
        https_port=options.https_port,
    )


def _refuse_what_cannot_work(layout: Layout, record: ClusterRecord) -> None:
    if is_running(layout):
        raise CommandError(
            f"the cluster in {layout.root} is already running: see `kajitori status`, or stop it with `kajitori down`"
        )
    before = read_record(layout)
    if before and before.store != record.store:
        raise CommandError(
            f"the cluster in {layout.root} keeps its objects in {before.store}, not in {record.store}: "
            f"give `--store {before.store}`, or another --data-dir"
        )
    if record.nodes:
        if os.geteuid() != 0:
            raise CommandError(
                "real nodes need root (containers, network namespaces, nftables): "
                "run `sudo kajitori up`, or the control plane alone with `kajitori up --nodes 0`"
            )
        _refuse_missing(node_findings(layout.root))
    _refuse_taken_port("the API server", record.port, "--port")
    if record.nodes and "ingress" not in record.disable:
        _refuse_taken_port("the Ingress (HTTP)", record.http_port, "--http-port")
        _refuse_taken_port("the Ingress (HTTPS)", record.https_port, "--https-port")


def _refuse_missing(findings: list[Finding]) -> None:
    if bad := [finding for finding in findings if finding.fatal]:
        lines = "\n".join(f"  {finding.name}: {finding.found}; {finding.remedy}" for finding in bad)
        raise CommandError(f"this host cannot run nodes yet:\n{lines}")


def _refuse_taken_port(whose: str, port: int, option: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104
        except OSError as error:
            if error.errno == errno.EACCES:
                raise CommandError(f"port {port} of {whose} is for root only: choose another with {option}") from error
            raise CommandError(
                f"port {port} of {whose} is taken ({error.strerror}): find by whom with `ss -ltnp 'sport = :{port}'`, "
                f"or choose another with {option}"
            ) from error


def _make_data_dir(layout: Layout) -> None:
    try:
        layout.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        layout.runtime.mkdir(mode=0o700, parents=True, exist_ok=True) if os.geteuid() == 0 else None
    except OSError as error:
        raise CommandError(
            f"{error.filename} cannot be made ({error.strerror}): choose another place with --data-dir"
        ) from error


def _start_and_watch(command: list[str], layout: Layout, *, wait: bool, detach: bool) -> None:
    """Start the supervisor in a session of its own and show what it reports.

    Returns when the API answers, or with `wait` when every part is ready. Without `detach` the cluster then stays in
    the foreground.
    """
    began = time.monotonic()
    reader, writer = os.pipe()
    layout.logs.mkdir(parents=True, exist_ok=True)
    with (layout.logs / "supervisor.err").open("wb") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            pass_fds=(writer,),
            env=os.environ | {NOTIFY: str(writer)},
            start_new_session=detach,
        )
    os.close(writer)
    done = False
    with os.fdopen(reader) as progress:
        for line in progress:
            done = _show(line.rstrip("\n"), began, wait=wait)
            if done:
                break
    if not done:
        raise CommandError(
            f"the supervisor ended before the cluster was ready: {_tail(layout.logs / 'supervisor.err')}"
        )
    click.echo(f"kubeconfig: {layout.kubeconfig}", err=True)
    if not detach:
        try:
            process.wait()
        except KeyboardInterrupt:
            process.wait()


def _show(line: str, began: float, *, wait: bool) -> bool:
    """Print one report; whether it is the one that was waited for."""
    event, _, rest = line.partition(" ")
    if event == "failed":
        raise CommandError(rest)
    if event == "ended":
        part, _, log = rest.partition(" ")
        click.echo(f"{part} ended before it was ready and is started again: {_tail(Path(log))}", err=True)
    elif event == "ready":
        click.echo(f"{rest} ready after {time.monotonic() - began:.1f} s", err=True)
    return event == "done" or (event == "ready" and rest == "apiserver" and not wait)


def _tail(log: Path) -> str:
    """The last line of a log, or of what the process printed as it died, and where there is more."""
    for path in (log.with_suffix(".err"), log):
        try:
            lines = path.read_text(errors="replace").strip().splitlines()
        except OSError:
            continue
        if lines:
            return f"{lines[-1].removeprefix('kajitori: ')} (more in {path})"
    return f"see {log}"
