"""Who may use the node's API, and how seldom the API server is asked about it."""

import asyncio

import pytest

from kajitori.api.authentication import TOKEN_REVIEW
from kajitori.api.meta import namespace_of
from kajitori.client.interface import Disconnected
from kajitori.kit.clock import VirtualClock
from kajitori.kubelet.server.access import ALLOWED_S, KNOWN_S, REFUSED_S, Access
from kajitori.kubelet.server.http_messages import Failure, Request

SCRAPER = {"username": "system:serviceaccount:monitoring:scraper", "groups": ["system:serviceaccounts"]}


class ApiServer:
    """Knows the token `good`, and lets its owner use `subresources`."""

    def __init__(self, *subresources):
        self.subresources = subresources
        self.asked = []

    async def create(self, resource, review):
        assert (review["apiVersion"], review["kind"]) == (resource.api_version, resource.kind)
        assert namespace_of(review) == ""
        spec = review["spec"]
        if resource is TOKEN_REVIEW:
            self.asked.append("token")
            good = spec["token"] == "good"
            return {"status": {"authenticated": True, "user": SCRAPER} if good else {"authenticated": False}}
        assert spec["user"] == SCRAPER["username"]
        attributes = spec["resourceAttributes"]
        assert (attributes["resource"], attributes["name"]) == ("nodes", "node-a")
        self.asked.append(f"{attributes['verb']} {attributes['subresource']}")
        return {"status": {"allowed": attributes["subresource"] in self.subresources}}


def certificate(name, *groups):
    return {"subject": ((("commonName", name),), *((("organizationName", group),) for group in groups))}


def request(path, token="", method="GET"):
    return Request(method, path, {}, (("Authorization", f"Bearer {token}"),) if token else ())


def admitted(access, *arguments):
    """The status of the refusal, or 200."""
    try:
        asyncio.run(access.admit(*arguments))
    except Failure as failure:
        return int(failure.status)
    return 200


@pytest.mark.parametrize(
    ("shown", "status"),
    [
        (certificate("kube-apiserver-kubelet-client"), 200),
        (certificate("kubernetes-admin", "system:masters"), 200),
        (None, 401),
    ],
)
def test_the_api_server_and_administrators_are_known_by_their_certificates(shown, status):
    server = ApiServer()
    assert admitted(Access(server, VirtualClock(), "node-a"), request("/exec/ns/pod/main"), shown) == status
    assert not server.asked


def test_a_token_leads_to_its_user_and_the_path_to_a_subresource_of_the_node():
    server = ApiServer("metrics")
    access = Access(server, VirtualClock(), "node-a")
    assert admitted(access, request("/metrics/resource", "good"), None) == 200
    assert admitted(access, request("/metrics", "bad"), None) == 401
    assert admitted(access, request("/stats/summary", "good"), None) == 403
    assert admitted(access, request("/run/ns/pod/main", "good", "POST"), None) == 403
    assert server.asked == ["token", "get metrics", "token", "get stats", "create proxy"]


def test_the_proxy_subresource_opens_what_has_a_finer_one():
    server = ApiServer("proxy")
    assert admitted(Access(server, VirtualClock(), "node-a"), request("/pods", "good"), None) == 200
    assert server.asked == ["token", "get pods", "get proxy"]


def test_answers_hold_for_a_while():
    server, clock = ApiServer("metrics"), VirtualClock()
    access = Access(server, clock, "node-a")
    for _ in range(3):
        admitted(access, request("/metrics", "good"), None)
        admitted(access, request("/logs/", "good"), None)
    assert server.asked == ["token", "get metrics", "get log"]
    asyncio.run(clock.advance(REFUSED_S))
    assert admitted(access, request("/logs/", "good"), None) == 403
    assert server.asked[3:] == ["get log"]
    asyncio.run(clock.advance(KNOWN_S))
    assert admitted(access, request("/metrics", "good"), None) == 200
    assert server.asked[4:] == ["token"]
    asyncio.run(clock.advance(ALLOWED_S))
    assert admitted(access, request("/metrics", "good"), None) == 200
    assert server.asked[5:] == ["token", "get metrics"]


def test_a_node_that_cannot_ask_says_so():
    class Away:
        async def create(self, resource, review):
            raise Disconnected("10.0.0.1: refused")

    with pytest.raises(Failure) as caught:
        asyncio.run(Access(Away(), VirtualClock(), "node-a").admit(request("/metrics", "good"), None))
    assert caught.value.status == 500
    assert "10.0.0.1: refused" in caught.value.message
