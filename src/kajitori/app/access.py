"""A part's way to the API server: under the identity that `up` gave it, or under a kubeconfig of the user's."""

from kajitori.app.layout import Layout
from kajitori.cli.interface import CommandError, PartOptions
from kajitori.client.http import HttpClient
from kajitori.client.kubeconfig import KubeconfigError, read_kubeconfig
from kajitori.kit.clock import Clock


def client_of(options: PartOptions, identity: str, clock: Clock) -> HttpClient:
    """`identity` names a file of `app.prepare`. Raises CommandError."""
    path = options.kubeconfig or Layout(options.data_dir).identity(identity)
    try:
        return HttpClient(read_kubeconfig(path), clock, f"kajitori-{identity}")
    except KubeconfigError as error:
        raise CommandError(str(error)) from error
