"""A part's way to the API server: under the identity that `up` gave it, or under a kubeconfig of the user's."""

from kajitori.app.layout import Layout
from kajitori.cli.interface import CommandError, PartOptions
from kajitori.client.http import HttpClient
from kajitori.client.kubeconfig import ClusterAccess, KubeconfigError, read_kubeconfig
from kajitori.kit.clock import Clock


def client_of(options: PartOptions, identity: str, clock: Clock) -> HttpClient:
    """`identity` names a file of `app.prepare`. Raises CommandError."""
    return HttpClient(access_of(options, identity), clock, f"kajitori-{identity}")


def access_of(options: PartOptions, identity: str) -> ClusterAccess:
    """Where the API server is, and as whom to ask it. Raises CommandError."""
    try:
        return read_kubeconfig(options.kubeconfig or Layout(options.data_dir).identity(identity))
    except KubeconfigError as error:
        raise CommandError(str(error)) from error
