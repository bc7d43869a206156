"""The real server with everything plugged in, over a memory store and without a network."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import jwt
import orjson

from kajitori.apiserver import security
from kajitori.apiserver.authz.settings import AuthorizationSettings, Webhook
from kajitori.apiserver.http_types import Query, Request
from kajitori.apiserver.interfaces import User
from kajitori.apiserver.server import ApiServer
from kajitori.kit.clock import SystemClock
from kajitori.testing.requests import ADMIN
from kajitori.testing.secured import secured_server

Answer = tuple[int, dict[str, Any]]


class Server:
    """`ask` sends a request as a user; `guard` is the security around the server."""

    def __init__(self, server: ApiServer, guard: security.Security) -> None:
        self.server = server
        self.guard = guard

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        user: User | None = ADMIN,
        token: str = "",
        patch: str = "",
        accept: str = "",
    ) -> Answer:
        path, _, query = path.partition("?")
        headers = {"content-type": patch or "application/json"}
        if token:
            headers["authorization"] = f"Bearer {token}"
        if accept:
            headers["accept"] = accept
        content = body if isinstance(body, bytes) else orjson.dumps(body) if body is not None else b""
        request = Request(method, path, Query(query), headers, content)
        pipeline = self.server._pipeline
        response = await (pipeline.answer(request, user) if user else pipeline(request))
        document = orjson.loads(response.body) if response.body.startswith(b"{") else {}
        return response.status, document

    async def ok(self, method: str, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
        status, answer = await self.ask(method, path, body, **more)
        assert status < 300, str(answer)
        return answer


def with_server(tmp_path: Path, scenario: Callable[[Server], Awaitable[None]], **settings: Any) -> None:
    async def run() -> None:
        async with secured_server(tmp_path, SystemClock(), **settings) as secured:
            await scenario(Server(secured.server, secured.guard))

    asyncio.run(run())


POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p"},
    "spec": {"containers": [{"name": "c", "image": "i"}]},
}
PODS = "/api/v1/namespaces/default/pods"


def test_a_pod_from_creation_to_its_own_token(tmp_path: Path) -> None:
    async def scenario(api: Server) -> None:
        await api.ok("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
        pod = await api.ok("POST", PODS, POD)
        assert pod["spec"]["serviceAccountName"] == "default"
        assert pod["spec"]["volumes"][0]["name"].startswith("kube-api-access-")
        bound = await api.ok(
            "POST", f"{PODS}/p/binding", {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}}
        )
        assert bound["status"] == "Success"
        pod = await api.ok("GET", f"{PODS}/p")
        assert pod["spec"]["nodeName"] == "n1"
        assert pod["metadata"]["generation"] == 1
        node = User("system:node:n1", ("system:nodes", "system:authenticated"))
        reference = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": pod["metadata"]["uid"]}
        path = "/api/v1/namespaces/default/serviceaccounts/default/token"
        request = await api.ok("POST", path, {"spec": {"boundObjectRef": reference}}, user=node)
        token = request["status"]["token"]
        review = await api.ok("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, user=None, token=token)
        assert review["status"]["userInfo"]["username"] == "system:serviceaccount:default:default"
        status, answer = await api.ask("GET", PODS, user=None, token=token)
        assert status == 403
        assert answer["message"] == (
            'pods is forbidden: User "system:serviceaccount:default:default" cannot list resource "pods" in API group '
            '"" in the namespace "default"'
        )
        assert (await api.ask("GET", PODS, user=None, token="nonsense"))[0] == 401
        assert (await api.ask("GET", "/version", user=None))[0] == 200

    with_server(tmp_path, scenario)


def test_clients_are_told_where_the_server_is(tmp_path: Path) -> None:
    async def scenario(api: Server) -> None:
        subset = (await api.ok("GET", "/api/v1/namespaces/default/endpoints/kubernetes"))["subsets"][0]
        (told,) = (await api.ok("GET", "/api"))["serverAddressByClientCIDRs"]
        address = f"{subset['addresses'][0]['ip']}:{subset['ports'][0]['port']}"
        assert told == {"clientCIDR": "0.0.0.0/0", "serverAddress": address}

    with_server(tmp_path, scenario)


def test_services_get_addresses_and_return_them(tmp_path: Path) -> None:
    async def scenario(api: Server) -> None:
        services = "/api/v1/namespaces/default/services"
        ports = [{"port": 80}]
        kubernetes = await api.ok("GET", f"{services}/kubernetes")
        assert kubernetes["spec"]["clusterIP"] == "10.96.0.1"
        body = {"metadata": {"name": "web"}, "spec": {"type": "NodePort", "ports": ports, "selector": {"a": "b"}}}
        web = await api.ok("POST", services, body)
        assert web["spec"]["clusterIP"].startswith("10.96.")
        assert 30000 <= web["spec"]["ports"][0]["nodePort"] < 32768
        taken = {"metadata": {"name": "two"}, "spec": {"clusterIP": web["spec"]["clusterIP"], "ports": ports}}
        status, answer = await api.ask("POST", services, taken)
        assert (status, answer["reason"]) == (422, "Invalid")
        change = {"spec": {"selector": {"a": "c"}}}
        kept = await api.ok("PATCH", f"{services}/web", change, patch="application/merge-patch+json")
        assert kept["spec"]["clusterIP"] == web["spec"]["clusterIP"]
        await api.ok("DELETE", f"{services}/web")
        await api.ok("POST", services, taken)

    with_server(tmp_path, scenario)


def test_aggregated_roles_and_escalation(tmp_path: Path) -> None:
    async def scenario(api: Server) -> None:
        roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
        part = {
            "metadata": {"name": "crontabs", "labels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"}},
            "rules": [{"verbs": ["get"], "apiGroups": ["stable.example.com"], "resources": ["crontabs"]}],
        }
        await api.ok("POST", roles, part)
        for _ in range(50):
            await asyncio.sleep(0)
        for name in ("view", "edit", "admin"):
            role = await api.ok("GET", f"{roles}/{name}")
            assert any("crontabs" in rule.get("resources", ()) for rule in role["rules"]), name
        jane = User("jane", ("dev", "system:authenticated"))
        status, _ = await api.ask("POST", roles, part, user=jane)
        assert status == 403

    with_server(tmp_path, scenario)


def test_issuer_discovery_publishes_the_key_that_signs(tmp_path: Path) -> None:
    async def scenario(api: Server) -> None:
        await api.ok("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "app"}})
        request = await api.ok("POST", "/api/v1/namespaces/default/serviceaccounts/app/token", {})
        configuration = await api.ok("GET", "/.well-known/openid-configuration")
        keys = await api.ok("GET", "/openid/v1/jwks")
        key = jwt.PyJWK(keys["keys"][0]).key
        claims = jwt.decode(request["status"]["token"], key, algorithms=["ES256"], audience=security.CLUSTER_ISSUER)
        assert claims["iss"] == configuration["issuer"]

    with_server(tmp_path, scenario)


def test_a_custom_kind_is_served_as_soon_as_it_is_defined(tmp_path: Path) -> None:
    async def scenario(api: Server) -> None:
        schema = {
            "type": "object",
            "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer", "default": 3}}}},
        }
        version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
        names = {"plural": "widgets", "kind": "Widget"}
        spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]}
        body = {"metadata": {"name": "widgets.example.com"}, "spec": spec}
        crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        await api.ok("POST", crds, body)
        widgets = "/apis/example.com/v1/namespaces/default/widgets"
        widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"x": 1}}
        created = await api.ok("POST", widgets, widget)
        assert created["spec"] == {"size": 3}
        assert created["metadata"]["generation"] == 1
        wrong = {**widget, "metadata": {"name": "bad"}, "spec": {"size": "big"}}
        status, answer = await api.ask("POST", widgets, wrong)
        assert (status, answer["reason"]) == (422, "Invalid")
        assert [w["metadata"]["name"] for w in (await api.ok("GET", widgets))["items"]] == ["w"]
        await api.ok("DELETE", f"{crds}/widgets.example.com")
        async with asyncio.timeout(60):
            while (await api.ask("GET", widgets))[0] != 404:
                await asyncio.sleep(0)
            while (await api.ask("GET", f"{crds}/widgets.example.com"))[0] != 404:
                await asyncio.sleep(0)

    with_server(tmp_path, scenario)


def test_reviews_have_no_table(tmp_path: Path) -> None:
    async def scenario(api: Server) -> None:
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        review = {"spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}}}
        table = "application/json;as=Table;v=v1;g=meta.k8s.io"
        status, answer = await api.ask("POST", path, review, accept=table)
        assert (status, answer["reason"]) == (406, "NotAcceptable")
        assert (await api.ok("POST", path, review, accept=f"{table},application/json"))["status"]["allowed"]

    with_server(tmp_path, scenario)


def test_custom_objects_are_shown_with_defaults_younger_than_they_are(tmp_path: Path) -> None:
    async def scenario(api: Server) -> None:
        crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        spec: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "string"}}}
        schema = {"type": "object", "properties": {"spec": spec}}
        definition = {
            "metadata": {"name": "widgets.example.com"},
            "spec": {
                "group": "example.com",
                "scope": "Cluster",
                "names": {"plural": "widgets", "kind": "Widget"},
                "versions": [
                    {"name": v, "served": True, "storage": v == "v1", "schema": {"openAPIV3Schema": schema}}
                    for v in ("v1", "v2")
                ],
            },
        }
        made = await api.ok("POST", crds, definition)
        widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {}}
        await api.ok("POST", "/apis/example.com/v1/widgets", widget)
        null = {**widget, "metadata": {"name": "n"}, "spec": {"a": None}}
        assert (await api.ok("POST", "/apis/example.com/v1/widgets?dryRun=All", null))["spec"] == {}
        apply = "/apis/example.com/v1/widgets/n?fieldManager=m"  # what is merged is never decoded
        status, answer = await api.ask("PATCH", apply, null, patch="application/apply-patch+yaml")
        assert (status, answer["details"]["causes"][0]["field"]) == (422, "spec.a")
        made = await api.ok("GET", f"{crds}/widgets.example.com")
        for version in made["spec"]["versions"]:
            properties = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
            properties["a"]["default"] = version["name"]
        await api.ok("PUT", f"{crds}/widgets.example.com", made)
        for version in ("v1", "v2"):
            path = f"/apis/example.com/{version}/widgets"
            shown = await api.ok("GET", f"{path}/w")
            assert (shown["apiVersion"], shown["spec"]) == (f"example.com/{version}", {"a": "v1"})
            assert (await api.ok("GET", path))["items"] == [shown]

    with_server(tmp_path, scenario)


def test_a_write_is_answered_with_what_a_read_would_show(tmp_path: Path) -> None:
    """A status that nobody may write at creation has its defaults nevertheless."""

    async def scenario(api: Server) -> None:
        status = {"type": "object", "default": {"seen": -1}, "properties": {"seen": {"type": "integer"}}}
        schema = {"type": "object", "properties": {"spec": {"type": "object"}, "status": status}}
        version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
        names = {"plural": "gadgets", "kind": "Gadget"}
        spec = {"group": "example.com", "scope": "Cluster", "names": names}
        definition = {
            "metadata": {"name": "gadgets.example.com"},
            "spec": {**spec, "versions": [{**version, "subresources": {"status": {}}}]},
        }
        await api.ok("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
        gadget = {"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": {"name": "g"}, "status": {"seen": 3}}
        made = await api.ok("POST", "/apis/example.com/v1/gadgets", gadget)
        assert made["status"] == {"seen": -1}
        assert made == await api.ok("GET", "/apis/example.com/v1/gadgets/g")

    with_server(tmp_path, scenario)


def test_repeated_keys_of_an_applied_document(tmp_path: Path) -> None:
    async def scenario(api: Server) -> None:
        path = "/api/v1/namespaces/default/configmaps/c?fieldManager=m&fieldValidation="
        body = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  a: x\n  b: w\n  a: z\n"
        status, answer = await api.ask("PATCH", f"{path}Strict", body, patch="application/apply-patch+yaml")
        assert status == 400
        assert answer["message"] == (
            "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n"
            '  line 7: key "a" already set in map'
        )
        made = await api.ok("PATCH", f"{path}Warn", body, patch="application/apply-patch+yaml")
        assert made["data"] == {"a": "z", "b": "w"}

    with_server(tmp_path, scenario)


def test_a_requested_token_lives_no_longer_than_the_servers_limit(tmp_path: Path) -> None:
    limits = {"token_lifetime_max_s": 3600}

    async def scenario(api: Server) -> None:
        await api.ok("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
        path = "/api/v1/namespaces/default/serviceaccounts/default/token"
        request = await api.ok("POST", path, {"spec": {"expirationSeconds": 86400}})
        claims = jwt.decode(request["status"]["token"], options={"verify_signature": False})
        assert claims["exp"] - claims["iat"] == 3600
        assert request["spec"]["expirationSeconds"] == 3600

    with_server(tmp_path, scenario, **limits)


def test_a_review_of_rules_says_that_a_webhook_has_more(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "webhook.kubeconfig"
    kubeconfig.write_text(
        "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\nusers: [{name: u, user: {}}]\n"
        "contexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n"
    )
    authorization = AuthorizationSettings(("Node", "RBAC", Webhook(kubeconfig=kubeconfig)))

    async def scenario(api: Server) -> None:
        path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
        review = await api.ok("POST", path, {"spec": {"namespace": "default"}})
        assert review["status"]["incomplete"] is True
        assert review["status"]["evaluationError"] == "webhook authorizer does not support user rule resolution"

    with_server(tmp_path, scenario, authorization=authorization)


def test_a_custom_object_has_no_scale_until_it_says_how_many(tmp_path: Path) -> None:
    async def scenario(api: Server) -> None:
        replicas = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
        schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
        spec = {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [{**version, "subresources": {"scale": replicas}}],
        }
        crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        await api.ok("POST", crds, {"metadata": {"name": "widgets.example.com"}, "spec": spec})
        widgets, merge = "/apis/example.com/v1/namespaces/default/widgets", "application/merge-patch+json"
        typed = {"apiVersion": "example.com/v1", "kind": "Widget"}
        await api.ok("POST", widgets, {**typed, "metadata": {"name": "a"}, "spec": {}})
        status, answer = await api.ask("GET", f"{widgets}/a/scale")
        assert (status, answer["reason"]) == (500, "InternalError")
        assert answer["message"].endswith('the spec replicas field ".spec.replicas" does not exist')
        status, answer = await api.ask("PATCH", f"{widgets}/a/scale", {"spec": {}}, patch=merge)
        assert (status, answer["message"]) == (400, 'the spec replicas field ".spec.replicas" cannot be empty')
        await api.ok("PATCH", f"{widgets}/a/scale", {"spec": {"replicas": 2}}, patch=merge)
        assert (await api.ok("GET", f"{widgets}/a/scale"))["spec"] == {"replicas": 2}

        status, answer = await api.ask("PATCH", f"{widgets}/a", {"kind": "Other"}, patch=merge)
        assert status == 422
        assert answer["message"] == 'Other.example.com "a" is invalid: kind: Invalid value: "Other": must be Widget'

        await api.ok("POST", widgets, {**typed, "metadata": {"name": "b"}, "spec": {"replicas": 1, "x": 1}})
        await api.ok("PATCH", f"{widgets}/b/scale", {"spec": {"replicas": 2}}, patch=merge)
        (entry,) = (await api.ok("GET", f"{widgets}/b"))["metadata"]["managedFields"]
        assert entry["fieldsV1"]["f:spec"] == {".": {}, "f:x": {}}

    with_server(tmp_path, scenario)


def test_what_an_update_of_a_custom_object_counts_takes_and_refuses(tmp_path: Path) -> None:
    async def scenario(api: Server) -> None:
        free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        schema = {"type": "object", "properties": {"spec": free, "status": free}}
        version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
        names = {"plural": "widgets", "kind": "Widget"}
        spec = {"group": "example.com", "scope": "Cluster", "names": names}
        definition = {
            "metadata": {"name": "widgets.example.com"},
            "spec": {**spec, "versions": [{**version, "subresources": {"status": {}}}]},
        }
        await api.ok("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
        widgets, merge = "/apis/example.com/v1/widgets", "application/merge-patch+json"
        sent = b'{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"w"},"spec":{"n":1.0,"h":[1.5,2.0]}}'
        assert str((await api.ok("POST", widgets, sent))["spec"]) == "{'n': 1, 'h': [1.5, 2]}"
        for value, generation in ((b"1", 1), (b"1.0", 2), (b"true", 3)):
            patched = await api.ok("PATCH", f"{widgets}/w", b'{"spec":{"n":%s}}' % value, patch=merge)
            assert patched["metadata"]["generation"] == generation
        kept = await api.ok("PATCH", f"{widgets}/w", {"metadata": {"managedFields": []}}, patch=merge)
        assert kept["metadata"]["managedFields"] == patched["metadata"]["managedFields"]
        status, answer = await api.ask("PATCH", f"{widgets}/w", {"kind": None}, patch=merge)
        assert status == 422 and "Object 'Kind' is missing in '{" in answer["message"]
        assert (await api.ask("PATCH", f"{widgets}/w", {"apiVersion": None}, patch=merge))[0] == 500
        another = {"kind": "Other", "metadata": {"uid": "other"}, "status": {"a": 1}}
        assert (await api.ask("PATCH", f"{widgets}/w", another, patch=merge))[0] == 422
        taken = await api.ok("PATCH", f"{widgets}/w/status", another, patch=merge)
        assert (taken["kind"], taken["status"]) == ("Widget", {"a": 1})
        unknown = {"b": 1, "a": 1, "metadata": {"z": 1, "y": 1}}
        status, answer = await api.ask("PATCH", f"{widgets}/w?fieldValidation=Strict", unknown, patch=merge)
        told = ", ".join(f'unknown field "{path}"' for path in ("metadata.y", "metadata.z", "a", "b"))
        assert status == 422 and answer["message"].endswith(f"strict decoding error: {told}")

    with_server(tmp_path, scenario)


def test_a_scale_of_a_custom_object_is_judged_with_the_object(tmp_path: Path) -> None:
    async def scenario(api: Server) -> None:
        replicas = {"type": "object", "properties": {"replicas": {"type": "integer"}}}
        schema = {"type": "object", "properties": {"spec": replicas, "status": replicas}}
        scale = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
        version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
        spec = {"group": "example.com", "scope": "Cluster", "names": {"plural": "widgets", "kind": "Widget"}}
        definition = {
            "metadata": {"name": "widgets.example.com"},
            "spec": {**spec, "versions": [{**version, "subresources": {"scale": scale}}]},
        }
        await api.ok("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
        (kind, _) = (await api.ok("GET", "/apis/example.com/v1"))["resources"]
        assert kind["verbs"] == ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"]
        widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"replicas": 1}}
        await api.ok("POST", "/apis/example.com/v1/widgets", widget)
        path, merge = "/apis/example.com/v1/widgets/w/scale", "application/merge-patch+json"
        assert (await api.ok("PATCH", path, {"spec": {"replicas": 2}}, patch=merge))["spec"] == {"replicas": 2}
        status, answer = await api.ask("PATCH", path, {"spec": {"replicas": -1}}, patch=merge)
        assert (status, answer["details"]["kind"]) == (422, "Widget")
        assert answer["message"].endswith(".spec.replicas: Invalid value: -1: should be a non-negative integer")
        status, answer = await api.ask("PUT", path, {"kind": "Scale", "apiVersion": "v1", "metadata": {"name": "w"}})
        assert status == 400 and answer["message"].startswith("no kind is registered for the type v1.Scale in scheme")
        status, answer = await api.ask("DELETE", path)
        assert (status, answer["details"]) == (405, {"group": "example.com", "kind": "widgets"})
        assert answer["message"] == 'delete is not supported on resources of kind "widgets.example.com"'

    with_server(tmp_path, scenario)
