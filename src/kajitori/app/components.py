"""How the parts beside the API server are, as far as it can know: their processes on this machine, or what answers at
the ports that upstream's parts have."""

import asyncio
import ssl

from kajitori.apiserver.health import Check
from kajitori.app.layout import Layout
from kajitori.app.processes import is_part, read_state
from kajitori.app.record import ClusterRecord
from kajitori.kit.clock import Clock, within

SCHEDULER_PORT, CONTROLLERS_PORT = 10259, 10257
_PATIENCE_S = 2.0
_PROCESS = "controllers"
"""Which also has the scheduler in it."""


def component_checks(layout: Layout, record: ClusterRecord, store: Check, clock: Clock) -> dict[str, Check]:
    """By upstream's names, in upstream's order."""
    return {
        "scheduler": _part("scheduler", SCHEDULER_PORT, layout, record, clock),
        "controller-manager": _part("controllers", CONTROLLERS_PORT, layout, record, clock),
        "etcd-0": store,
    }


def _part(name: str, port: int, layout: Layout, record: ClusterRecord, clock: Clock) -> Check:
    async def check() -> str:
        state = read_state(layout, _PROCESS) if name not in record.disable else None
        if state is not None and is_part(state.pid, layout):
            return ""
        why = await _asked(port, clock)
        if why and state is not None:
            return f"the process {_PROCESS} (pid {state.pid}) does not run: see {layout.logs / _PROCESS}.log"
        return why

    return check


async def _asked(port: int, clock: Clock) -> str:
    """Why nothing well answers there; "" when something does."""
    url = f"https://127.0.0.1:{port}/healthz"
    try:
        status = await within(clock, _PATIENCE_S, _status(port))
    except ConnectionRefusedError:
        return f'Get "{url}": dial tcp 127.0.0.1:{port}: connect: connection refused'
    except (OSError, TimeoutError, ValueError, IndexError) as error:
        return f'Get "{url}": {error}'
    return "" if status == 200 else f'Get "{url}": status {status}'


async def _status(port: int) -> int:
    tls = ssl.create_default_context()
    tls.check_hostname = False  # upstream's parts show certificates that they have made for themselves
    tls.verify_mode = ssl.CERT_NONE
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    try:
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        return int((await reader.readline()).split()[1])
    finally:
        writer.close()
