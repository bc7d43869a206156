"""The `Client` that speaks to an API server over TLS."""

from kajitori.client.kubeconfig import ClusterAccess
from kajitori.client.transport import Transport, TransportSettings
from kajitori.client.verbs import WireClient
from kajitori.kit.clock import Clock


class HttpClient(WireClient):
    """Cheap while idle: a few kept connections, no timers."""

    def __init__(
        self,
        access: ClusterAccess,
        clock: Clock,
        user_agent: str = "kajitori",
        settings: TransportSettings | None = None,
    ) -> None:
        super().__init__(Transport(access, clock, user_agent, settings or TransportSettings()))
