"""Who acts where several processes could: leader election under upstream's names, so its parts take turns with ours.

A data directory has one supervisor, which runs each part once; on a store that others share, or under a kubeconfig,
there may be equals that nobody here knows of.
"""

import socket
import uuid
from collections.abc import Awaitable, Callable

from kajitori.app.layout import Layout
from kajitori.app.record import read_record
from kajitori.cli.interface import CommandError, PartOptions
from kajitori.client.interface import Client
from kajitori.client.leader import LeaderElection, LeadershipLost
from kajitori.kit.clock import Clock
from kajitori.scheduler.view import NAME

CONTROLLER_MANAGER = "kube-controller-manager"
"""The name of its lease in kube-system."""

Act = Callable[[], Awaitable[None]]


def scheduler_lease(scheduler: str) -> str:
    """Schedulers of different names share no pods, and so no lease."""
    return "kube-scheduler" if scheduler == NAME else scheduler


def has_equals(options: PartOptions) -> bool:
    """Whether another process may do the same work on the same objects. Raises CommandError."""
    if options.leader_elect is not None:
        return options.leader_elect
    record = None if options.kubeconfig else read_record(Layout(options.data_dir))
    return record is None or record.store.startswith("etcd://")


async def lead(options: PartOptions, client: Client, clock: Clock, lease: str, act: Act) -> None:
    """Run `act`, as the holder of the lease where there may be equals. Raises CommandError when it is lost."""
    if not has_equals(options):
        await act()
        return
    identity = f"{socket.gethostname()}_{uuid.uuid4()}"
    try:
        await LeaderElection(client, clock, name=lease, identity=identity).run(act)
    except LeadershipLost as error:
        raise CommandError(str(error)) from error
