"""The API server as a process: store, server, security, TLS."""

import asyncio
import resource
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

from kajitori.api.registry import Registry
from kajitori.apiserver import pki, security
from kajitori.apiserver.audit.settings import build_auditor
from kajitori.apiserver.configuration import BadConfiguration
from kajitori.apiserver.http.tls import ServingTls, TlsSettings
from kajitori.apiserver.server import ApiServer
from kajitori.app.apiserver_settings import ServerSettings, read_settings
from kajitori.app.components import component_checks
from kajitori.app.encrypted import encrypted_storage
from kajitori.app.flags import Flags
from kajitori.app.layout import Layout
from kajitori.app.notify import notify_ready
from kajitori.app.prepare import alternative_names
from kajitori.app.record import ClusterRecord, require_record
from kajitori.app.reloads import Reloads
from kajitori.cli.apiserver_options import renewed
from kajitori.cli.interface import CommandError, PartOptions
from kajitori.kit.clock import Clock, SystemClock
from kajitori.storage.factory import open_storage
from kajitori.storage.interface import Storage, StorageError


async def run_apiserver(options: PartOptions, stopping: asyncio.Event) -> None:
    """Serves until `stopping`, then finishes what is under way."""
    _open_as_many_files_as_allowed()
    layout = Layout(options.data_dir)
    record = require_record(layout)
    settings = read_settings(renewed(record.apiserver, options.apiserver))
    clock = SystemClock()
    try:
        storage = await open_storage(_where(layout, record, options), clock)
        try:
            await _serve(layout, record, settings, storage, clock, stopping)
        finally:
            await storage.close()
    except (StorageError, pki.PkiError, BadConfiguration) as error:
        raise CommandError(str(error)) from error


def _where(layout: Layout, record: ClusterRecord, options: PartOptions) -> str | Path:
    """The store's address, with the files for TLS to etcd."""
    if record.store == "sqlite":
        return layout.store
    flags = Flags(renewed(record.apiserver, options.apiserver))
    files = {"ca": flags.text("etcd-cafile"), "cert": flags.text("etcd-certfile"), "key": flags.text("etcd-keyfile")}
    query = urlencode({name: file for name, file in files.items() if file})
    if not query or not record.store.startswith("etcd://"):
        return record.store
    return f"{record.store}{'&' if '?' in record.store else '?'}{query}"


def _open_as_many_files_as_allowed() -> None:
    """The usual limit of 1,024 is less than the connections that are served."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _tls(settings: TlsSettings) -> ServingTls:
    try:
        return ServingTls(settings)
    except (OSError, ValueError) as error:
        files = ", ".join(map(str, settings.files))
        raise BadConfiguration(
            f"TLS cannot be served ({error}): give certificates and keys that fit: {files}"
        ) from error


async def _serve(
    layout: Layout,
    record: ClusterRecord,
    settings: ServerSettings,
    storage: Storage,
    clock: Clock,
    stopping: asyncio.Event,
) -> None:
    registry = Registry()
    keys = pki.ensure(layout.pki, alternative_names(record), clock.now())
    tls = _tls(settings.tls.settings(layout, settings.authentication.trust))
    encrypted = await encrypted_storage(storage, settings.encryption_file, clock)
    server = ApiServer(encrypted.storage if encrypted else storage, registry, clock, settings.server)
    if encrypted is not None:
        encrypted.attach(server, reloads=settings.reloads_encryption)
    await server.start()
    own = security.SecurityConfig(
        keys,
        record.api_address,
        record.port,
        has_ingress=bool(record.nodes) and "ingress" not in record.disable,
        has_volumes=bool(record.nodes or record.simulated_nodes),
        components=component_checks(layout, record, server.health.live["etcd"], clock),
    )
    config = settings.applied(own)
    reloads = Reloads(settings, encrypted, clock)
    for family in reloads.families:
        server.metrics.register(family)
    if settings.audit is not None:
        auditor = build_auditor(settings.audit, clock)
        auditor.measure(server.metrics)
        config = replace(config, auditor=auditor)
    guard = security.build(config, server.objects, registry, clock)
    server.install(guard.extension)
    await guard.start()
    reloading = asyncio.create_task(reloads.reloader(guard, tls).run(), name="reloading of changed files")
    # Other machines' nodes and pods come in over the node network; a control plane alone is for this machine.
    address = "0.0.0.0" if record.nodes else "127.0.0.1"  # noqa: S104
    try:
        await server.serve(address, record.port, tls.front)
    except OSError as error:
        raise CommandError(
            f"the API server cannot listen on {address}:{record.port} ({error.strerror}): choose another --port"
        ) from error
    notify_ready()
    await stopping.wait()
    reloading.cancel()
    await server.stop()
    await guard.stop()
    if encrypted is not None:
        await encrypted.storage.end()
