"""What the API server knows of its neighbours."""

import asyncio
import os
from pathlib import Path

from kajitori.apiserver.health import run_check
from kajitori.app import components, processes
from kajitori.app.components import component_checks
from kajitori.app.layout import Layout
from kajitori.app.processes import PartState, write_state
from kajitori.app.record import ClusterRecord
from kajitori.kit.clock import SystemClock


def found(folder: Path, record: ClusterRecord) -> dict[str, str]:
    checks = component_checks(Layout(folder), record, lambda: "", SystemClock())

    async def ask() -> dict[str, str]:
        return {name: await run_check(check) for name, check in checks.items()}

    return asyncio.run(ask())


def test_a_process_that_runs_is_well(tmp_path: Path, monkeypatch) -> None:
    write_state(Layout(tmp_path), "controllers", PartState(os.getpid(), 0.0, 0))
    monkeypatch.setattr(components, "is_part", lambda pid, layout: pid == os.getpid())
    assert found(tmp_path, ClusterRecord()) == {"scheduler": "", "controller-manager": "", "etcd-0": ""}


def test_what_does_not_run_is_asked_for_where_upstreams_is(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(components, "SCHEDULER_PORT", 1)
    monkeypatch.setattr(components, "CONTROLLERS_PORT", 1)
    refused = 'Get "https://127.0.0.1:1/healthz": dial tcp 127.0.0.1:1: connect: connection refused'
    assert found(tmp_path, ClusterRecord())["scheduler"] == refused
    write_state(Layout(tmp_path), "controllers", PartState(2**22 + 1, 0.0, 0))
    assert not processes.is_part(2**22 + 1, Layout(tmp_path))
    says = found(tmp_path, ClusterRecord(disable=("scheduler",)))
    assert says["scheduler"] == refused
    assert says["controller-manager"].startswith("the process controllers (pid 4194305) does not run: see ")
