"""`kajitori up`: check the host, prepare certificates, become the supervisor or start one and show its progress."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import click

from kajitori.app import data_dir
from kajitori.app.doctor import Finding, node_findings
from kajitori.app.failure import about_file
from kajitori.app.layout import Layout
from kajitori.app.locks import is_running, refuse_taken_host
from kajitori.app.ports import claims, refuse_taken_ports
from kajitori.app.prepare import prepare
from kajitori.app.processes import end_orphans
from kajitori.app.progress import Event, TerminalReporter, read_report
from kajitori.app.record import ClusterRecord, read_record, write_record
from kajitori.app.supervise import NOTIFY
from kajitori.cli.apiserver_options import renewed
from kajitori.cli.interface import CommandError, UpOptions

STORES = ("sqlite", "memory")


def up(options: UpOptions) -> None:
    layout = Layout(options.data_dir)
    record = record_of(options, _record_of_before(layout) or ClusterRecord())
    if record.scheduler_config:
        from kajitori.app.scheduler_settings import read_profile

        read_profile(Path(record.scheduler_config))
    if record.apiserver:
        from kajitori.app.apiserver_settings import read_settings

        read_settings(record.apiserver)
    _refuse_what_cannot_work(layout, record)
    data_dir.make(layout, with_runtime=bool(record.nodes))
    try:
        # First of all, so that `down --purge` knows an `up` that gets no further.
        write_record(layout, record)
        prepare(layout, record, time.time())
        layout.logs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(about_file(error, layout.root)) from error
    command = [sys.executable, "-m", "kajitori.app.supervise", str(layout.root)]
    if options.wait:
        command.append("--wait")
    if record.nodes:
        _prepare_network(record)
        if _containers_run(layout, record):
            command.append("--adopting")
    if options.detach:
        _start_and_watch(command, layout, wait=options.wait)
    else:
        os.execv(command[0], [*command, "--foreground"])


def _record_of_before(layout: Layout) -> ClusterRecord | None:
    """None when there is none, or one that `_refuse_what_cannot_work` will speak of."""
    try:
        return read_record(layout)
    except CommandError:
        return None


def record_of(options: UpOptions, before: ClusterRecord) -> ClusterRecord:
    """What is asked for now, with what is remembered of the options that are."""
    if options.store not in STORES and not options.store.startswith("etcd://"):
        raise CommandError(f"--store {options.store}: unknown; choose {', '.join(STORES)} or etcd://HOST:PORT,...")
    return ClusterRecord(
        port=options.port,
        nodes=options.nodes,
        simulated_nodes=options.simulated_nodes,
        store=options.store,
        disable=tuple(sorted(options.disable)),
        http_port=options.http_port,
        https_port=options.https_port,
        scheduler_config=before.scheduler_config if options.scheduler_config is None else options.scheduler_config,
        apiserver=renewed(before.apiserver, options.apiserver),
    )


def _refuse_what_cannot_work(layout: Layout, record: ClusterRecord) -> None:
    if is_running(layout):
        raise CommandError(
            f"the cluster in {layout.root} is already running: see `kajitori status`, or stop it with `kajitori down`"
        )
    data_dir.refuse_foreign(layout)
    before = read_record(layout)
    if before and before.store != record.store:
        raise CommandError(
            f"the cluster in {layout.root} keeps its objects in {before.store}, not in {record.store}: "
            f"give `--store {before.store}`, or another --data-dir"
        )
    if full := data_dir.full_disk(layout):
        raise CommandError(f"the disk is {full}, or choose another place with --data-dir")
    if record.nodes:
        if os.geteuid() != 0:
            raise CommandError(
                "real nodes need root (containers, network namespaces, nftables): "
                "run `sudo kajitori up`, or the control plane alone with `kajitori up --nodes 0`"
            )
        _refuse_missing(node_findings(layout.root))
        data_dir.refuse_unmountable(layout)
        refuse_taken_host()
    if before:
        end_orphans(layout)
    refuse_taken_ports(claims(record, ingress=not _ingress_runs(layout, record)))


def _refuse_missing(findings: list[Finding]) -> None:
    if bad := [finding for finding in findings if finding.fatal]:
        lines = "\n".join(f"  {finding.name}: {finding.found}; {finding.remedy}" for finding in bad)
        raise CommandError(f"this host cannot run nodes yet (see `kajitori doctor`):\n{lines}")


def _prepare_network(record: ClusterRecord) -> None:
    """The bridge and the namespaces that the node processes enter."""
    from kajitori.network.errors import NetworkError
    from kajitori.network.host import prepare_host
    from kajitori.network.layout import ClusterNetwork

    try:
        asyncio.run(prepare_host(ClusterNetwork(), record.nodes))
    except NetworkError as error:
        raise CommandError(str(error)) from error


def _containers_run(layout: Layout, record: ClusterRecord) -> bool:
    """Whether a containerd of an earlier run still lives, which the node agents will take over."""
    from kajitori.app.node_parts import containerd_config
    from kajitori.kubelet.process_identity import read_running

    return any(read_running(containerd_config(layout, name).pid_file) for name in record.node_names)


def _ingress_runs(layout: Layout, record: ClusterRecord) -> bool:
    """Whether the Ingress of an earlier run still serves: its ports are taken by ourselves."""
    if not record.nodes:
        return False
    from kajitori.app.node_parts import envoy
    from kajitori.kit.clock import SystemClock

    return envoy(layout, record, record.node_names[0], SystemClock()).running


def _start_and_watch(command: list[str], layout: Layout, *, wait: bool) -> None:
    """Start the supervisor in a session of its own and show what it reports.

    Returns when the API answers, or with `wait` when every part is ready.
    """
    reader, writer = os.pipe()
    errors_path = layout.logs / "supervisor.err"
    with errors_path.open("wb") as errors:
        supervisor = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            pass_fds=(writer,),
            env=os.environ | {NOTIFY: str(writer)},
            start_new_session=True,
        )
    os.close(writer)
    try:
        _show_until_ready(reader, layout, errors_path, wait=wait)
    except KeyboardInterrupt:
        click.echo("interrupted: stopping what was started", err=True)
        supervisor.terminate()
        supervisor.wait()
        raise


def _show_until_ready(reader: int, layout: Layout, errors: Path, *, wait: bool) -> None:
    show = TerminalReporter(layout.kubeconfig)
    with os.fdopen(reader) as reports:
        for line in reports:
            event, text = read_report(line)
            if event is Event.FAILED:
                raise CommandError(text)
            show(event, text)
            if event is Event.DONE:
                return
            if event is Event.READY and text == "apiserver" and not wait:
                show(Event.DONE)
                return
    raise CommandError(
        f"the supervisor ended before the cluster was ready: see {errors} and {layout.log('supervisor')}"
    )
