"""What users configure, before everything that is no plain write: streams, bindings, evictions, tokens, scales."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import jwt
import orjson

from kajitori.api.meta import Object
from kajitori.apiserver import pki, security
from kajitori.apiserver.http_types import Query, Request
from kajitori.apiserver.rest.deleting import PARALLEL_DELETES
from kajitori.testing.cluster import ControlPlane
from kajitori.testing.requests import ADMIN

GROUP = "/apis/admissionregistration.k8s.io/v1"
POD = {
    "metadata": {"name": "web"},
    "spec": {"containers": [{"name": "c", "image": "i"}], "automountServiceAccountToken": False},
}
DEPLOYMENT = {
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
    },
}


class Server:
    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane

    async def ask(
        self, method: str, path: str, body: Any = None, media: str = "application/json"
    ) -> tuple[int, Object]:
        path, _, query = path.partition("?")
        content = orjson.dumps(body) if body is not None else b""
        headers = {"content-type": media, "connection": "upgrade", "upgrade": "SPDY/3.1"}
        response = await self.plane.server.answer(Request(method, path, Query(query), headers, content), ADMIN)
        return response.status, orjson.loads(response.body) if response.body.startswith(b"{") else {}

    async def ok(self, method: str, path: str, body: Any = None, media: str = "application/json") -> Object:
        status, answer = await self.ask(method, path, body, media)
        assert status < 300, str(answer)
        return answer

    async def forbid(self, name: str, operation: str, resource: str, expression: str) -> None:
        """A policy that refuses this request unless the expression holds."""
        group, _, plural = resource.rpartition(":")
        rule = {"operations": [operation], "apiGroups": [group], "apiVersions": ["v1"], "resources": [plural]}
        spec = {"matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": expression}]}
        await self.ok("POST", f"{GROUP}/validatingadmissionpolicies", {"metadata": {"name": name}, "spec": spec})
        binding = {"metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"]}}
        await self.ok("POST", f"{GROUP}/validatingadmissionpolicybindings", binding)
        await self.plane.settle()

    async def mutate(self, name: str, operation: str, resource: str, expression: str) -> None:
        group, _, plural = resource.rpartition(":")
        rule = {"operations": [operation], "apiGroups": [group], "apiVersions": ["v1"], "resources": [plural]}
        how = ("JSONPatch", "jsonPatch") if expression.startswith("[") else ("ApplyConfiguration", "applyConfiguration")
        mutation = {"patchType": how[0], how[1]: {"expression": expression}}
        spec = {
            "matchConstraints": {"resourceRules": [rule]},
            "reinvocationPolicy": "Never",
            "mutations": [mutation],
        }
        await self.ok("POST", f"{GROUP}/mutatingadmissionpolicies", {"metadata": {"name": name}, "spec": spec})
        binding = {"metadata": {"name": name}, "spec": {"policyName": name}}
        await self.ok("POST", f"{GROUP}/mutatingadmissionpolicybindings", binding)
        await self.plane.settle()


def with_server(tmp_path: Path, scenario: Callable[[Server], Awaitable[None]]) -> None:
    async def run() -> None:
        async with ControlPlane() as plane:
            keys = pki.ensure(tmp_path, ["127.0.0.1"], plane.clock.now())
            config = security.SecurityConfig(keys, "10.89.0.1")
            guard = security.build(config, plane.server.objects, plane.registry, plane.clock)
            plane.server.install(guard.extension)
            account = {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": "default", "namespace": "default"},
            }
            await plane.add(account)
            await scenario(Server(plane))
            await guard.stop()

    asyncio.run(run())


def test_streams_are_shown_with_their_options(tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        await server.ok("POST", "/api/v1/namespaces/default/pods", POD)
        exec_path = "/api/v1/namespaces/default/pods/web/exec"
        status, answer = await server.ask("POST", f"{exec_path}?command=sh&container=c&stdout=1")
        assert (status, answer["message"]) == (400, "pod web does not have a host assigned")
        check = "object.command[0] != 'sh' && request.kind.kind == 'PodExecOptions' && request.operation == 'CONNECT'"
        await server.forbid("exec", "CONNECT", "pods/exec", check)
        status, answer = await server.ask("POST", f"{exec_path}?command=sh&container=c&stdout=1")
        assert status == 422
        assert "denied request: failed expression" in answer["message"]
        status, answer = await server.ask("POST", f"{exec_path}?command=ls&container=c&stdout=1")
        assert answer["message"] == "pod web does not have a host assigned"
        await server.forbid("proxy", "CONNECT", "pods/proxy", "object.path != '/secret' && oldObject == null")
        status, answer = await server.ask("GET", "/api/v1/namespaces/default/pods/web/proxy/secret")
        assert status == 422
        status, answer = await server.ask("GET", "/api/v1/namespaces/default/pods/web/proxy/other")
        assert answer["message"] == "address not allowed"
        await server.forbid("bare", "CONNECT", "pods/proxy", "has(object.path)")
        assert (await server.ask("GET", "/api/v1/namespaces/default/pods/web/proxy"))[0] == 422

    with_server(tmp_path, scenario)


def test_bindings_evictions_and_tokens_are_shown(tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        pods = "/api/v1/namespaces/default/pods"
        await server.ok("POST", pods, POD)
        await server.forbid(
            "binding", "CREATE", "pods/binding", "object.target.name == 'good' && request.name == 'web'"
        )
        binding = {"metadata": {"name": "web"}, "target": {"kind": "Node", "name": "bad"}}
        assert (await server.ask("POST", f"{pods}/web/binding", binding))[0] == 422
        await server.mutate(
            "annotate", "CREATE", "pods/binding", "Object{metadata: Object.metadata{annotations: {'by': 'policy'}}}"
        )
        await server.ok("POST", f"{pods}/web/binding", {**binding, "target": {"kind": "Node", "name": "good"}})
        bound = await server.ok("GET", f"{pods}/web")
        assert bound["spec"]["nodeName"] == "good"
        assert bound["metadata"]["annotations"] == {"by": "policy"}
        await server.forbid("eviction", "CREATE", "pods/eviction", "request.kind == request.requestKind && false")
        assert (await server.ask("POST", f"{pods}/web/eviction", {"metadata": {"name": "web"}}))[0] == 422
        await server.forbid("token", "CREATE", "serviceaccounts/token", "object.spec.expirationSeconds <= 3600")
        path = "/api/v1/namespaces/default/serviceaccounts/default/token"
        assert (await server.ask("POST", path, {"spec": {"expirationSeconds": 7200}}))[0] == 422
        await server.ok("POST", path, {"spec": {"expirationSeconds": 3600}})

    with_server(tmp_path, scenario)


def test_what_is_posted_is_shown_with_its_defaults_and_who_wrote_it(tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        owner = "object.metadata.managedFields[0].manager != 'unknown'"
        await server.forbid(
            "token", "CREATE", "serviceaccounts/token", f"object.spec.expirationSeconds != 3600 && {owner}"
        )
        token = "/api/v1/namespaces/default/serviceaccounts/default/token"
        assert (await server.ask("POST", token, {}))[0] == 422
        whole = "object.spec.audiences.size() == 1 && object.metadata.name == 'default' && object.metadata.uid != ''"
        await server.forbid("whole", "CREATE", "serviceaccounts/token", whole)
        nobody = token.replace("accounts/default", "accounts/nobody")
        assert (await server.ask("POST", nobody, {"spec": {"expirationSeconds": 4000}}))[0] == 404
        await server.ok("POST", f"{token}?fieldManager=me", {"spec": {"expirationSeconds": 4000}})

    with_server(tmp_path, scenario)


def test_the_audit_log_is_told_which_token_was_issued(tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        trail = Mock(annotations={}, ended=lambda response, _: response)
        path = "/api/v1/namespaces/default/serviceaccounts/default/token"
        headers = {"content-type": "application/json"}
        request = Request("POST", path, Query(""), headers, b'{"spec": {}}', trail=trail)
        answer = orjson.loads((await server.plane.server.answer(request, ADMIN)).body)
        claims = jwt.decode(answer["status"]["token"], options={"verify_signature": False})
        assert trail.annotations["authentication.kubernetes.io/issued-credential-id"] == f"JTI={claims['jti']}"

    with_server(tmp_path, scenario)


def test_a_mutation_cannot_move_a_new_object_but_may_rename_it(tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        maps = "/api/v1/namespaces/default/configmaps"
        await server.forbid("first", "CREATE", ":configmaps", "request.name == 'old'")
        change = "[JSONPatch{op: 'replace', path: '/metadata/name', value: 'new'}]"
        await server.mutate("rename", "CREATE", ":configmaps", change)
        assert (await server.ok("POST", maps, {"metadata": {"name": "old"}}))["metadata"]["name"] == "new"
        change = "[JSONPatch{op: 'replace', path: '/metadata/namespace', value: 'other'}]"
        await server.mutate("move", "CREATE", ":configmaps", change)
        status, answer = await server.ask("POST", maps, {"metadata": {"name": "old"}})
        why = "the namespace of the provided object does not match the namespace sent on the request"
        assert (status, answer["message"]) == (400, why)

    with_server(tmp_path, scenario)


def test_a_deletion_of_a_collection_names_no_object(tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        maps = "/api/v1/namespaces/default/configmaps"
        await server.ok("POST", maps, {"metadata": {"name": "one"}})
        await server.forbid("named", "DELETE", ":configmaps", "request.?name.orValue('') != 'one'")
        assert (await server.ask("DELETE", f"{maps}/one"))[0] == 422
        await server.ok("DELETE", maps)
        assert (await server.ask("GET", f"{maps}/one"))[0] == 404

    with_server(tmp_path, scenario)


def test_after_a_refusal_no_other_deletion_of_a_collection_is_begun(tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        maps = "/api/v1/namespaces/default/configmaps"
        for number in range(2 * PARALLEL_DELETES):
            await server.ok("POST", maps, {"metadata": {"name": f"c{number:02}"}})
        await server.forbid("first", "DELETE", ":configmaps", "oldObject.metadata.name != 'c00'")
        assert (await server.ask("DELETE", maps))[0] == 422
        await server.plane.settle()
        names = [item["metadata"]["name"] for item in (await server.ok("GET", maps))["items"]]
        assert {"c00", *(f"c{number:02}" for number in range(PARALLEL_DELETES, 2 * PARALLEL_DELETES))} <= set(names)

    with_server(tmp_path, scenario)


def test_a_deletion_of_a_namespace_is_of_that_very_one(tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        await server.ok("POST", "/api/v1/namespaces", {"metadata": {"name": "team"}})
        await server.forbid(
            "spaces", "DELETE", ":namespaces", "request.options.preconditions.uid != oldObject.metadata.uid"
        )
        status, answer = await server.ask("DELETE", "/api/v1/namespaces/team")
        assert (status, "failed expression" in answer["message"]) == (422, True)

    with_server(tmp_path, scenario)


def test_an_eviction_of_the_old_version_is_still_read(tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        await server.ok("POST", "/api/v1/namespaces/default/pods", POD)
        path = "/api/v1/namespaces/default/pods/web/eviction"
        eviction = {"apiVersion": "policy/v1beta1", "kind": "Eviction", "metadata": {"name": "web"}}
        await server.ok("POST", path, eviction)
        assert (await server.ask("POST", path, {**eviction, "apiVersion": "policy/v2"}))[0] == 400

    with_server(tmp_path, scenario)


def test_a_scale_is_shown_as_a_scale(tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        deployments = "/apis/apps/v1/namespaces/default/deployments"
        await server.ok("POST", deployments, DEPLOYMENT)
        check = "object.kind == 'Scale' && object.spec.replicas <= 5 && oldObject.spec.replicas == 1"
        await server.forbid("scale", "UPDATE", "apps:deployments/scale", check)
        patch, media = {"spec": {"replicas": 9}}, "application/merge-patch+json"
        assert (await server.ask("PATCH", f"{deployments}/web/scale", patch, media))[0] == 422
        change = "[JSONPatch{op: 'replace', path: '/spec/replicas', value: 4}]"
        await server.mutate("more", "UPDATE", "apps:deployments/scale", change)
        scale = await server.ok("PATCH", f"{deployments}/web/scale", {"spec": {"replicas": 2}}, media)
        assert scale["spec"]["replicas"] == 4
        assert (await server.ok("GET", f"{deployments}/web"))["spec"]["replicas"] == 4

    with_server(tmp_path, scenario)


def test_namespaces_and_generated_names(tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        await server.forbid("spaces", "*", ":namespaces", "request.namespace == request.name && request.name != 'bad'")
        assert (await server.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "bad"}}))[0] == 422
        await server.ok("POST", "/api/v1/namespaces", {"metadata": {"name": "good"}})
        await server.forbid(
            "named", "CREATE", ":configmaps", "request.name.startsWith('x-') && object.metadata.uid != ''"
        )
        place = "Object{metadata: Object.metadata{annotations: {'in': object.metadata.namespace}}}"
        await server.mutate("place", "CREATE", ":configmaps", place)
        path = "/api/v1/namespaces/good/configmaps"
        made = await server.ok("POST", path, {"metadata": {"generateName": "x-"}})
        assert made["metadata"]["annotations"] == {"in": "good"}
        await server.ok("DELETE", "/api/v1/namespaces/good")

    with_server(tmp_path, scenario)


def test_custom_resources_in_another_version_and_as_parameters(tmp_path: Path) -> None:
    async def scenario(server: Server) -> None:
        schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
        versions = [{"name": name, "served": True, "storage": name == "v1", "schema": schema} for name in ("v1", "v2")]
        names = {"plural": "limits", "kind": "Limit"}
        definition = {
            "metadata": {"name": "limits.a.example"},
            "spec": {"group": "a.example", "names": names, "scope": "Namespaced", "versions": versions},
        }
        await server.ok("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
        await server.plane.settle()
        check = "object.apiVersion == 'a.example/v1' && request.requestKind.version == 'v2' && object.max < 5"
        await server.forbid("limits", "*", "a.example:limits", check)
        limits = "/apis/a.example/v2/namespaces/default/limits"
        limit = {"apiVersion": "a.example/v2", "kind": "Limit", "metadata": {"name": "x"}}
        assert (await server.ask("POST", limits, {**limit, "max": 7}))[0] == 422
        await server.ok("POST", limits, {**limit, "max": 4})

    with_server(tmp_path, scenario)
