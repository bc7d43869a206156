"""Who asks, may they, and is there room: authentication, authorization, impersonation, flow control, handlers."""

import asyncio
import base64

import orjson
import pytest

from kajitori.api.core import CONFIG_MAP, POD
from kajitori.api.errors import Forbidden, Unauthorized
from kajitori.apiserver.extension import Extension
from kajitori.apiserver.http_types import Query, Request, Response
from kajitori.apiserver.interfaces import ANONYMOUS, Attributes, User, Verdict
from kajitori.apiserver.pipeline import credentials_of
from kajitori.apiserver.request_info import request_info

JANE = User("jane", ("system:authenticated",))


class Tokens:
    """Tokens are names; "bad" is none."""

    def known(self, credentials):
        return None

    async def authenticate(self, credentials):
        if not credentials.bearer_token:
            return ANONYMOUS
        if credentials.bearer_token == "bad":
            raise Unauthorized
        return User(credentials.bearer_token, ("system:authenticated",))


class Rules:
    """Allows what is listed as `verb resource`, or everything to root."""

    def __init__(self, *allowed):
        self.allowed = set(allowed)
        self.asked = []

    def authorize(self, attributes):
        self.asked.append(attributes)
        what = f"{attributes.verb} {attributes.resource or attributes.path}"
        if attributes.user.name == "root" or what in self.allowed:
            return Verdict.ALLOW, ""
        return Verdict.NO_OPINION, ""


def secured(plane, *allowed, **extension):
    rules = Rules(*allowed)
    plane.server.install(Extension(authenticator=Tokens(), authorizer=rules, **extension))
    return rules


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/version?timeout=invalid", 400),
        ("/version?timeout=3m", 200),
        ("/version?timeout=0s", 200),
        ("/version?timeout=", 200),
        ("/api/v1/configmaps?timeout=5", 400),
        ("/api/v1/configmaps?timeoutSeconds=5", 200),
    ],
)
def test_a_timeout_that_is_no_duration_is_refused(in_cluster, path, status):
    async def scenario(plane):
        secured(plane)
        code, body = await ask(plane, path, "root")
        assert code == status
        if status == 400:
            assert body["message"].startswith("invalid timeout specified in the request URL - time: ")

    in_cluster(scenario)


async def ask(plane, path, token="", method="GET", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if token:
        named["authorization"] = f"Bearer {token}"
    path, _, query = path.partition("?")
    response = await plane.server._pipeline(Request(method, path, Query(query), named))
    return response.status, orjson.loads(response.body) if response.body[:1] == b"{" else response.body


def test_a_token_that_does_not_hold(in_cluster):
    async def scenario(plane):
        secured(plane)
        status, answer = await ask(plane, "/api/v1/pods", "bad")
        assert status == 401 and answer["reason"] == "Unauthorized" and answer["message"] == "Unauthorized"

    in_cluster(scenario)


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        (
            "GET",
            "/api/v1/namespaces/default/pods",
            'pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default"',
        ),
        (
            "DELETE",
            "/apis/apps/v1/namespaces/default/deployments/d",
            'deployments.apps "d" is forbidden: User "jane" cannot delete resource "deployments" in API group "apps" '
            'in the namespace "default"',
        ),
        (
            "PUT",
            "/api/v1/nodes/n/status",
            'nodes "n" is forbidden: User "jane" cannot update resource "nodes/status" in API group "" at the cluster '
            "scope",
        ),
        ("GET", "/metrics", 'forbidden: User "jane" cannot get path "/metrics"'),
    ],
)
def test_what_is_not_allowed_is_said_in_upstreams_words(in_cluster, method, path, message):
    async def scenario(plane):
        secured(plane)
        status, answer = await ask(plane, path, "jane", method)
        assert (status, answer["reason"], answer["message"]) == (403, "Forbidden", message)

    in_cluster(scenario)


def test_who_brings_nothing_is_anonymous(in_cluster):
    async def scenario(plane):
        secured(plane, "get /version")
        assert (await ask(plane, "/version"))[0] == 200
        status, answer = await ask(plane, "/api/v1/pods")
        assert status == 403 and 'User "system:anonymous"' in answer["message"]

    in_cluster(scenario)


def test_every_request_has_a_name_that_its_client_may_choose(in_cluster):
    async def scenario(plane):
        secured(plane, "get /version")
        pipeline = plane.server._pipeline
        chosen = await pipeline.answer(Request("GET", "/version", headers={"audit-id": "mine"}), None)
        assert b"Audit-Id: mine\r\n" in chosen.lines
        given = [(await pipeline.answer(Request("GET", path), None)).lines for path in ("/version", "/api", "/version")]
        assert len({line for line in given if b"Audit-Id: " in line}) == 3

    in_cluster(scenario)


def test_acting_as_somebody_else(in_cluster):
    async def scenario(plane):
        rules = secured(plane, "list pods")
        status, answer = await ask(plane, "/api/v1/pods", "jane", impersonate_user="bob")
        assert status == 403 and 'cannot impersonate-on:user-info:list resource "pods"' in answer["message"]
        status, _ = await ask(
            plane, "/api/v1/pods", "root", impersonate_user="bob", impersonate_group="a\nb, c", impersonate_uid="7"
        )
        assert status == 200
        acting = rules.asked[-1].user
        assert acting == User("bob", ("a", "b, c", "system:authenticated"), "7")
        status, _ = await ask(plane, "/api/v1/pods", "root", impersonate_user="system:serviceaccount:default:x")
        assert status == 200
        assert "system:serviceaccounts:default" in rules.asked[-1].user.groups
        assert rules.asked[-2].resource == "serviceaccounts" and rules.asked[-2].name == "x"
        status, _ = await ask(plane, "/api/v1/pods", "root", impersonate_group="a")
        assert status == 400

    in_cluster(scenario)


def test_a_browser_sends_its_token_as_a_protocol():
    encoded = base64.urlsafe_b64encode(b"secret").decode().rstrip("=")
    protocols = f"v5.channel.k8s.io, base64url.bearer.authorization.k8s.io.{encoded}"
    request = Request("GET", "/", headers={"sec-websocket-protocol": protocols})
    assert credentials_of(request).bearer_token == "secret"
    assert credentials_of(Request("GET", "/", headers={"authorization": "bearer  x"})).bearer_token == "x"
    with pytest.raises(Unauthorized):
        credentials_of(Request("GET", "/", headers={"sec-websocket-protocol": f"{protocols}x!"}))


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "/api/v1/pods", ("list", "", "v1", "pods", "", "", "")),
        ("GET", "/api/v1/pods?watch=1", ("watch", "", "v1", "pods", "", "", "")),
        ("GET", "/api/v1/namespaces/a/pods/p/log", ("get", "", "v1", "pods", "log", "a", "p")),
        ("GET", "/api/v1/namespaces/a", ("get", "", "v1", "namespaces", "", "a", "a")),
        ("PUT", "/api/v1/namespaces/a/finalize", ("update", "", "v1", "namespaces", "finalize", "a", "a")),
        ("GET", "/api/v1/namespaces/status/pods", ("list", "", "v1", "pods", "", "status", "")),
        (
            "DELETE",
            "/apis/apps/v1/namespaces/a/deployments",
            ("deletecollection", "apps", "v1", "deployments", "", "a", ""),
        ),
        ("POST", "/apis/apps/v1/namespaces/a/deployments", ("create", "apps", "v1", "deployments", "", "a", "")),
        ("PATCH", "/apis/apps/v1/namespaces/a/deployments/d", ("patch", "apps", "v1", "deployments", "", "a", "d")),
        ("GET", "/api/v1/watch/namespaces/a/pods", ("watch", "", "v1", "pods", "", "a", "")),
        ("GET", "/api/v1/pods?fieldSelector=metadata.name%3Dp", ("list", "", "v1", "pods", "", "", "p")),
        ("GET", "/apis/apps/v1", ("get", "", "", "", "", "", "")),
        ("GET", "/healthz", ("get", "", "", "", "", "", "")),
    ],
)
def test_what_a_path_asks_for(method, target, expected):
    path, _, query = target.partition("?")
    info = request_info(method, path, Query(query))
    found = (info.verb, info.group, info.version, info.resource, info.subresource, info.namespace, info.name)
    assert found == expected


def test_a_refusal_for_want_of_seats_says_when_to_come_back(in_cluster):
    async def scenario(plane):
        secured(plane, "list pods")
        request = Request("GET", "/api/v1/pods", headers={"authorization": "Bearer jane"})
        flow = plane.server._flow.flow_of(Attributes(JANE, "list", "", "v1", "pods", path="/api/v1/pods"))
        assert plane.server._flow.enter(flow, 600, False)
        response = await plane.server._pipeline(request)
        assert response.status == 429 and ("Retry-After", "1") in response.headers
        assert orjson.loads(response.body)["message"] == "Too many requests, please try again later."
        plane.server._flow.leave(flow, 600, False, None)
        await plane.settle()
        response = await plane.server._pipeline(request)
        assert response.status == 200 and b"X-Kubernetes-PF-FlowSchema-UID: " in response.lines

    in_cluster(scenario)


def test_special_handlers_answer_subresources_paths_and_groups(in_cluster):
    async def scenario(plane):
        seen = []

        def handler(text):
            async def answer(context):
                seen.append((text, context.namespace, context.name, context.user.name))
                return Response(200, text.encode(), "text/plain")

            return answer

        secured(
            plane,
            handlers={("", "pods", "log"): handler("log")},
            path_handlers={"/openid/v1/jwks": handler("keys"), "/openid": handler("other")},
            group_handlers={("metrics.k8s.io", "v1beta1"): handler("group")},
        )
        assert (await ask(plane, "/api/v1/namespaces/a/pods/p/log", "root"))[1] == b"log"
        assert (await ask(plane, "/openid/v1/jwks", "root"))[1] == b"keys"
        assert (await ask(plane, "/openid/else", "root"))[1] == b"other"
        assert (await ask(plane, "/apis/metrics.k8s.io/v1beta1/nodes", "root"))[1] == b"group"
        assert (await ask(plane, "/apis/metrics.k8s.io/v1beta1", "root"))[1] == b"group"
        assert seen[0] == ("log", "a", "p", "root")

    in_cluster(scenario)


def test_kinds_that_are_only_asked_are_never_stored(in_cluster):
    async def scenario(plane):
        body = orjson.dumps({"metadata": {"name": "x"}, "spec": {"token": "t"}})
        status, _, _ = await plane.client.raw("POST", "/apis/authentication.k8s.io/v1/tokenreviews", body)
        assert status == 405

    in_cluster(scenario)


def test_admission_changes_refuses_and_warns(in_cluster):
    class Plugin:
        async def mutate(self, request):
            if request.operation in ("CREATE", "UPDATE"):
                request.object["metadata"].setdefault("labels", {})["seen"] = request.operation.lower()
                request.warnings.append("mind the gap")

        async def validate(self, request):
            if request.operation == "DELETE" and request.old["metadata"]["labels"].get("keep"):
                raise Forbidden("kept")

    async def scenario(plane):
        secured(plane, admission=[Plugin()])
        client = plane.client_of(User("root"))
        created = await client.create(CONFIG_MAP, {"metadata": {"name": "a", "namespace": "default"}})
        assert created["metadata"]["labels"] == {"seen": "create"}
        changed = await client.patch(CONFIG_MAP, "a", {"metadata": {"labels": {"keep": "x"}}}, "default")
        assert changed["metadata"]["labels"] == {"keep": "x", "seen": "update"}
        with pytest.raises(Forbidden, match="kept"):
            await client.delete(CONFIG_MAP, "a", "default")
        _, headers, _ = await client.raw(
            "PATCH",
            "/api/v1/namespaces/default/configmaps/a",
            b"{}",
            {"content-type": "application/merge-patch+json"},
        )
        assert headers["warning"] == '299 - "mind the gap"'

    in_cluster(scenario)


def test_made_up_names_are_not_counted_by_name(in_cluster):
    async def scenario(plane):
        for index in range(50):
            await plane.client.raw("GET", f"/apis/group-{index}/v1/things/{index}/part")
            await plane.client.raw("GET", f"/api/v1/namespaces/default/pods/p/part-{index}")
        assert len(plane.server.metrics._series) + len(plane.server.metrics._by_labels) <= 20

    in_cluster(scenario)


def test_a_fault_in_a_handler_is_an_internal_error(in_cluster, caplog):
    async def scenario(plane):
        async def broken(context):
            raise ZeroDivisionError

        plane.server.install(Extension(handlers={("", "pods", "log"): broken}))
        status, _, body = await plane.client.raw("GET", "/api/v1/namespaces/a/pods/p/log")
        assert status == 500 and orjson.loads(body)["reason"] == "InternalError"

    in_cluster(scenario)


def test_many_clients_write_one_object_and_nothing_is_lost(in_cluster):
    async def scenario(plane):
        spec = {"containers": [{"name": "c", "image": "i"}]}
        await plane.client.create(POD, {"metadata": {"name": "p", "namespace": "default"}, "spec": spec})

        def count(obj):
            annotations = obj["metadata"].setdefault("annotations", {})
            annotations["n"] = str(int(annotations.get("n", "0")) + 1)
            return obj

        await asyncio.gather(*(plane.server.objects.update(POD, "p", "default", count) for _ in range(30)))
        assert (await plane.client.get(POD, "p", "default"))["metadata"]["annotations"] == {"n": "30"}

    in_cluster(scenario)
