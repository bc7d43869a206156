"""Who has no right learns nothing: identities x verbs x resources, through the whole server, against `who_may.txt`.

`+` is let through (what the server then says is another matter), `-` is forbidden (403), `!` is not known (401). To see
what has changed after a change that is meant: `python tests/apiserver/test_who_may.py` prints the table as it is now.
"""

import asyncio
import base64
import random
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from kajitori.api import core
from kajitori.apiserver import pki, security
from kajitori.apiserver.authn.keyring import SigningKey
from kajitori.apiserver.authn.service_accounts import TokenIssuer
from kajitori.apiserver.http_types import Connection, Query, Request, Response
from kajitori.apiserver.server import ApiServer
from kajitori.kit.clock import VirtualClock
from kajitori.testing.secured import secured_server

TABLE = Path(__file__).with_name("who_may.txt")
ISSUER = security.CLUSTER_ISSUER
DAY_S = 86400.0


@dataclass(frozen=True)
class Identity:
    certificate: bytes | None = None
    verified: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """A request as the table names it. Writes are dry runs: the table is the same from top to bottom."""

    text: str
    method: str
    path: str
    body: Any = None
    patch: bool = False


def _der(pair: pki.Pair) -> bytes:
    return x509.load_pem_x509_certificate(pair.certificate).public_bytes(serialization.Encoding.DER)


class World:
    """A server with two namespaces, a pod on node-1, and everybody's credentials."""

    def __init__(self, server: ApiServer, keys: pki.Pki, clock: VirtualClock) -> None:
        self.server = server
        self.clock = clock
        self._keys = keys
        self.identities: dict[str, Identity] = {}

    async def ask(self, identity: str, method: str, path: str, body: Any = None, *, patch: bool = False) -> Response:
        path, _, query = path.partition("?")
        who = self.identities[identity]
        kind = "application/merge-patch+json" if patch else "application/json"
        content = orjson.dumps(body) if body is not None else b""
        headers = {"content-type": kind, **who.headers}
        request = Request(method, path, Query(query), headers, content, certificate=who.certificate)
        chain = (who.certificate, _der(self._keys.authority)) if who.certificate and who.verified else ()
        request.connection = cast(Connection, SimpleNamespace(chain=chain))
        return await self.server._pipeline(request)

    async def make(self, path: str, body: Any) -> dict[str, Any]:
        response = await self.ask("root", "POST", path, body)
        assert response.status == 201, response.body
        return orjson.loads(response.body)  # type: ignore[no-any-return]

    def certificate(self, user: str, *groups: str, at_s: float | None = None) -> bytes:
        return _der(pki.issue_client(self._keys.authority, user, groups, self.clock.now() if at_s is None else at_s))

    async def populate(self) -> None:
        self.identities["root"] = Identity(self.certificate("kubernetes-admin", "system:masters"))
        for name in ("team", "other"):
            await self.make("/api/v1/namespaces", {"metadata": {"name": name}})
            home = f"/api/v1/namespaces/{name}"
            await self.make(f"{home}/serviceaccounts", {"metadata": {"name": "default"}})
            await self.make(f"{home}/secrets", {"metadata": {"name": "s"}})
            await self.make(f"{home}/configmaps", {"metadata": {"name": "c"}})
            mounts = [{"name": "s", "secret": {"secretName": "s"}}, {"name": "c", "configMap": {"name": "c"}}]
            spec = {"containers": [{"name": "c", "image": "i"}], "volumes": mounts if name == "team" else []}
            await self.make(f"{home}/pods", {"metadata": {"name": "p"}, "spec": spec})
        for name in ("node-1", "node-2"):
            await self.make("/api/v1/nodes", {"metadata": {"name": name}})
            lease = {"metadata": {"name": name}, "spec": {"holderIdentity": name}}
            await self.make("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", lease)
        target = {"kind": "Node", "name": "node-1"}
        await self.make("/api/v1/namespaces/team/pods/p/binding", {"metadata": {"name": "p"}, "target": target})
        account = await self.make("/api/v1/namespaces/team/serviceaccounts", {"metadata": {"name": "app"}})
        await self.make("/apis/apps/v1/namespaces/team/deployments", DEPLOYMENT)
        await self.make("/apis/certificates.k8s.io/v1/certificatesigningrequests", self.signing_request())
        await self._grant()
        self._identify(account)

    def signing_request(self) -> dict[str, Any]:
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID

        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "someone")])
        key = ec.generate_private_key(ec.SECP256R1())
        pem = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
        request = base64.b64encode(pem.public_bytes(serialization.Encoding.PEM)).decode()
        signer = "kubernetes.io/kube-apiserver-client"
        return {
            "metadata": {"name": "csr"},
            "spec": {"request": request, "signerName": signer, "usages": ["client auth"]},
        }

    async def _grant(self) -> None:
        rbac = "/apis/rbac.authorization.k8s.io/v1"
        for user, role in (("viewer", "view"), ("editor", "edit"), ("admin", "admin")):
            await self.make(f"{rbac}/namespaces/team/rolebindings", binding(role, user, role))
        rule = {"verbs": ["impersonate"], "apiGroups": [""], "resources": ["users"], "resourceNames": ["viewer"]}
        await self.make(f"{rbac}/clusterroles", {"metadata": {"name": "as-viewer"}, "rules": [rule]})
        cluster = {**binding("as-viewer", "actor", "as-viewer"), "kind": "ClusterRoleBinding"}
        await self.make(f"{rbac}/clusterrolebindings", cluster)

    def _identify(self, account: dict[str, Any]) -> None:
        now_s, hour_s = self.clock.now(), 3600
        issuer = TokenIssuer(SigningKey(self._keys.service_account_key), ISSUER)
        token = issuer.issue(account, [ISSUER], hour_s, now_s)
        head, payload, signature = token.split(".")
        other_key = TokenIssuer(SigningKey(pki.create_signing_key()), ISSUER)
        certified = {
            "user": ("user",),
            "viewer": ("viewer",),
            "editor": ("editor",),
            "admin": ("admin",),
            "node-1": ("system:node:node-1", "system:nodes"),
            "node-2": ("system:node:node-2", "system:nodes"),
            "sched": ("system:kube-scheduler",),
            "kcm": ("system:kube-controller-manager",),
            "actor": ("actor",),
        }
        people = {name: Identity(self.certificate(*who)) for name, who in certified.items()}
        expired = self.certificate("kubernetes-admin", "system:masters", at_s=now_s - 400 * DAY_S)
        forged = f"{head}.{payload}.{signature[::-1]}"
        unsigned = f"{_encoded({'alg': 'none', 'typ': 'JWT'})}.{payload}."
        self.identities = {
            "nobody": Identity(),
            **people,
            "acting": Identity(people["actor"].certificate, headers={"impersonate-user": "viewer"}),
            "sa": bearer(token),
            "root": self.identities["root"],
            "expired": Identity(expired),
            "stranger": Identity(self.certificate("kubernetes-admin", "system:masters"), verified=False),
            "forged": bearer(forged),
            "unsigned": bearer(unsigned),
            "stale": bearer(issuer.issue(account, [ISSUER], hour_s, now_s - DAY_S)),
            "audience": bearer(issuer.issue(account, ["vault"], hour_s, now_s)),
            "key": bearer(other_key.issue(account, [ISSUER], hour_s, now_s)),
        }


def bearer(token: str) -> Identity:
    return Identity(headers={"authorization": f"Bearer {token}"})


def _encoded(document: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(document)).rstrip(b"=").decode()


def binding(name: str, user: str, role: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    }


DEPLOYMENT = {
    "metadata": {"name": "d"},
    "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        },
    },
}
POD_SPEC = {"spec": {"containers": [{"name": "c", "image": "i"}]}}
NOTE = {"metadata": {"annotations": {"note": "1"}}}


def verbs(title: str, collection: str, name: str, new: dict[str, Any]) -> list[Row]:
    """Every verb on a collection and one of its objects."""
    one, dry = f"{collection}/{name}", "?dryRun=All"
    return [
        Row(f"get {title}", "GET", one),
        Row(f"get {title} that is missing", "GET", f"{collection}/missing"),
        Row(f"list {title}", "GET", collection),
        Row(f"watch {title}", "GET", f"{collection}?watch=true&timeoutSeconds=1"),
        Row(f"create {title}", "POST", collection + dry, {"metadata": {"name": "new"}, **new}),
        Row(f"update {title}", "PUT", one + dry, {"metadata": {"name": name}, **new}),
        Row(f"patch {title}", "PATCH", one + dry, NOTE, patch=True),
        Row(f"delete {title}", "DELETE", one + dry),
        Row(f"deletecollection {title}", "DELETE", collection + dry),
    ]


TEAM, OTHER = "/api/v1/namespaces/team", "/api/v1/namespaces/other"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
CSR = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
AUTHORIZATION = "/apis/authorization.k8s.io/v1"
DRY = "?dryRun=All"
MAY = {"resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "team"}}
ANY_ROLE = {"metadata": {"name": "any"}, "rules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]}
READ_ROLE = {"metadata": {"name": "read"}, "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]}
APPROVED = {
    "status": {"conditions": [{"type": "Approved", "status": "True", "reason": "r", "message": "m"}]},
}

ROWS = [
    *verbs("secrets of team", f"{TEAM}/secrets", "s", {}),
    *verbs("secrets of other", f"{OTHER}/secrets", "s", {}),
    Row("list secrets of all", "GET", "/api/v1/secrets"),
    *verbs("configmaps of team", f"{TEAM}/configmaps", "c", {}),
    *verbs("configmaps of other", f"{OTHER}/configmaps", "c", {}),
    *verbs("pods of team", f"{TEAM}/pods", "p", POD_SPEC),
    *verbs("pods of other", f"{OTHER}/pods", "p", POD_SPEC),
    Row("list pods of node-1", "GET", "/api/v1/pods?fieldSelector=spec.nodeName=node-1"),
    Row("watch pods of node-2", "GET", "/api/v1/pods?watch=1&timeoutSeconds=1&fieldSelector=spec.nodeName=node-2"),
    Row("exec into a pod of team", "POST", f"{TEAM}/pods/p/exec?command=id&stdout=1"),
    Row("exec into a pod of team (GET)", "GET", f"{TEAM}/pods/p/exec?command=id&stdout=1"),
    Row("attach to a pod of team", "POST", f"{TEAM}/pods/p/attach?stdout=1"),
    Row("port-forward to a pod of team", "POST", f"{TEAM}/pods/p/portforward"),
    Row("exec into a pod of other", "POST", f"{OTHER}/pods/p/exec?command=id&stdout=1"),
    Row("log of a pod of team", "GET", f"{TEAM}/pods/p/log"),
    Row("log of a pod of other", "GET", f"{OTHER}/pods/p/log"),
    Row("evict a pod of team", "POST", f"{TEAM}/pods/p/eviction{DRY}", {"metadata": {"name": "p"}}),
    Row("bind a pod of other", "POST", f"{OTHER}/pods/p/binding{DRY}", {"target": {"kind": "Node", "name": "node-2"}}),
    Row("patch the status of a pod of team", "PATCH", f"{TEAM}/pods/p/status{DRY}", NOTE, patch=True),
    Row("debug a pod of team", "PATCH", f"{TEAM}/pods/p/ephemeralcontainers{DRY}", NOTE, patch=True),
    Row("token of team's app", "POST", f"{TEAM}/serviceaccounts/app/token{DRY}", {"spec": {}}),
    Row("token of other's default", "POST", f"{OTHER}/serviceaccounts/default/token{DRY}", {"spec": {}}),
    Row("get the scale of a deployment", "GET", "/apis/apps/v1/namespaces/team/deployments/d/scale"),
    Row(
        "patch the scale of a deployment",
        "PATCH",
        f"/apis/apps/v1/namespaces/team/deployments/d/scale{DRY}",
        {"spec": {"replicas": 2}},
        patch=True,
    ),
    *verbs("nodes (node-1)", "/api/v1/nodes", "node-1", {}),
    Row("get node-2", "GET", "/api/v1/nodes/node-2"),
    Row("patch the status of node-1", "PATCH", f"/api/v1/nodes/node-1/status{DRY}", NOTE, patch=True),
    Row("patch the status of node-2", "PATCH", f"/api/v1/nodes/node-2/status{DRY}", NOTE, patch=True),
    Row("proxy to node-1", "GET", "/api/v1/nodes/node-1/proxy/metrics"),
    Row("get the lease of node-1", "GET", f"{LEASES}/node-1"),
    Row("patch the lease of node-1", "PATCH", f"{LEASES}/node-1{DRY}", NOTE, patch=True),
    Row("list namespaces", "GET", "/api/v1/namespaces"),
    Row("get the namespace team", "GET", TEAM),
    Row("create a namespace", "POST", f"/api/v1/namespaces{DRY}", {"metadata": {"name": "new"}}),
    Row("delete the namespace team", "DELETE", TEAM + DRY),
    Row("list persistent volumes", "GET", "/api/v1/persistentvolumes"),
    Row("list custom resource definitions", "GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"),
    Row("create a role in team", "POST", f"{RBAC}/namespaces/team/roles{DRY}", READ_ROLE),
    Row("create a role in team for everything", "POST", f"{RBAC}/namespaces/team/roles{DRY}", ANY_ROLE),
    Row("create a cluster role", "POST", f"{RBAC}/clusterroles{DRY}", READ_ROLE),
    Row("bind view in team", "POST", f"{RBAC}/namespaces/team/rolebindings{DRY}", binding("b", "x", "view")),
    Row("bind admin in team", "POST", f"{RBAC}/namespaces/team/rolebindings{DRY}", binding("b", "x", "admin")),
    Row(
        "bind cluster-admin in team",
        "POST",
        f"{RBAC}/namespaces/team/rolebindings{DRY}",
        binding("b", "x", "cluster-admin"),
    ),
    Row("bind view in other", "POST", f"{RBAC}/namespaces/other/rolebindings{DRY}", binding("b", "x", "view")),
    Row("bind view in the cluster", "POST", f"{RBAC}/clusterrolebindings{DRY}", binding("b", "x", "view")),
    Row("list certificate signing requests", "GET", CSR),
    Row("approve a certificate signing request", "PATCH", f"{CSR}/csr/approval{DRY}", APPROVED, patch=True),
    Row(
        "sign a certificate signing request",
        "PATCH",
        f"{CSR}/csr/status{DRY}",
        {"status": {"certificate": ""}},
        patch=True,
    ),
    Row("review a token", "POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "x"}}),
    Row("who am I", "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}),
    Row("may I", "POST", f"{AUTHORIZATION}/selfsubjectaccessreviews", {"spec": MAY}),
    Row("may he", "POST", f"{AUTHORIZATION}/subjectaccessreviews", {"spec": {**MAY, "user": "x"}}),
    Row(
        "may he in team",
        "POST",
        f"{AUTHORIZATION}/namespaces/team/localsubjectaccessreviews",
        {"spec": {**MAY, "user": "x"}},
    ),
    Row("/healthz", "GET", "/healthz"),
    Row("/livez", "GET", "/livez"),
    Row("/readyz?verbose", "GET", "/readyz?verbose"),
    Row("/version", "GET", "/version"),
    Row("/api", "GET", "/api"),
    Row("/apis/apps/v1", "GET", "/apis/apps/v1"),
    Row("/openapi/v2", "GET", "/openapi/v2"),
    Row("/openid/v1/jwks", "GET", "/openid/v1/jwks"),
    Row("/metrics", "GET", "/metrics"),
    Row("/", "GET", "/"),
    Row("/logs", "GET", "/logs"),
    Row("a group that is not served", "GET", "/apis/example.org/v1/namespaces/team/things"),
]


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    clock = VirtualClock()
    async with secured_server(folder, clock) as secured:
        made = World(secured.server, secured.keys, clock)
        await made.populate()
        await clock.settle()
        yield made


def within(folder: Path, scenario: Callable[[World], Awaitable[None]]) -> None:
    async def run() -> None:
        async with world(folder) as made:
            await scenario(made)

    asyncio.run(run())


_CELLS = {401: "!", 403: "-"}


async def _cell(world: World, identity: str, row: Row) -> str:
    response = await world.ask(identity, row.method, row.path, row.body, patch=row.patch)
    assert response.status < 500 or row.text.startswith(("log", "proxy")), (identity, row, response.body)
    return _CELLS.get(response.status, "+")


async def table_of(world: World) -> str:
    names = list(world.identities)
    width = max(len(row.text) for row in ROWS) + 2
    height = max(map(len, names))
    # Names from top to bottom, so that a column is two characters wide.
    head = [" " * width + " ".join(name.rjust(height)[line] for name in names) for line in range(height)]
    lines = [row.text.ljust(width) + " ".join([await _cell(world, name, row) for name in names]) for row in ROWS]
    return "\n".join(line.rstrip() for line in [*head, *lines]) + "\n"


def test_everybody_may_what_the_table_says_and_nothing_more(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        assert (await table_of(world)).splitlines() == TABLE.read_text().splitlines()

    within(tmp_path, scenario)


FORBIDDEN = [
    ("viewer", "GET", f"{TEAM}/secrets/{{}}"),
    ("user", "GET", f"{TEAM}/configmaps/{{}}"),
    ("sa", "DELETE", f"{OTHER}/pods/{{}}"),
    ("node-2", "GET", f"{TEAM}/secrets/{{}}"),
    ("user", "GET", f"{TEAM}/pods/{{}}/log"),
    ("user", "POST", f"{TEAM}/serviceaccounts/{{}}/token"),
    ("editor", "PATCH", f"{OTHER}/configmaps/{{}}"),
    ("nobody", "GET", "/api/v1/nodes/{}"),
]


@pytest.mark.parametrize(("identity", "method", "path"), FORBIDDEN)
def test_a_refusal_does_not_tell_whether_the_object_exists(
    tmp_path: Path, identity: str, method: str, path: str
) -> None:
    async def scenario(world: World) -> None:
        existing = {"secrets": "s", "configmaps": "c", "pods": "p", "serviceaccounts": "default", "nodes": "node-1"}
        plural = path.split("/{}")[0].rpartition("/")[2]
        body = {} if method in ("POST", "PATCH") else None
        answers = []
        for name in (existing[plural], "absent"):
            response = await world.ask(identity, method, path.format(name), body, patch=method == "PATCH")
            assert response.status == 403
            shown = (response.body.replace(f'"{name}"'.encode(), b'"*"'), response.headers, response.content_type)
            answers.append((shown[0].replace(f'\\"{name}\\"'.encode(), b'\\"*\\"'), *shown[1:]))
        assert answers[0] == answers[1]

    within(tmp_path, scenario)


@pytest.mark.parametrize("query", ["", "?watch=true", "?limit=1", "?resourceVersion=999999", "?labelSelector=("])
def test_a_forbidden_list_leaks_no_count_no_revision_and_not_even_whether_it_was_well_asked(
    tmp_path: Path, query: str
) -> None:
    async def scenario(world: World) -> None:
        response = await world.ask("user", "GET", f"{TEAM}/secrets{query}")
        verb = "watch" if "watch" in query else "list"
        assert response.status == 403
        assert orjson.loads(response.body) == {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": f'secrets is forbidden: User "user" cannot {verb} resource "secrets" in API group "" in the '
            'namespace "team"',
            "reason": "Forbidden",
            "details": {"kind": "secrets"},
            "code": 403,
        }
        assert response.stream is None
        assert response.source is None

    within(tmp_path, scenario)


def test_what_was_accepted_on_a_connection_stops_with_its_time(tmp_path: Path) -> None:
    """A kept-alive connection brings the same certificate or token again and again."""

    async def scenario(world: World) -> None:
        for identity, lasts_s in (("sa", 3600.0), ("viewer", 365 * DAY_S)):
            assert (await world.ask(identity, "GET", "/version")).status == 200
            await world.clock.advance(lasts_s + 2)
            assert (await world.ask(identity, "GET", "/version")).status == 401

    within(tmp_path, scenario)


def test_a_service_account_that_is_gone_takes_its_token_with_it(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        assert (await world.ask("sa", "GET", "/version")).status == 200
        await world.server.objects.delete(core.SERVICE_ACCOUNT, "app", "team")
        await world.clock.settle()
        assert (await world.ask("sa", "GET", "/version")).status == 401

    within(tmp_path, scenario)


def test_a_role_that_is_taken_away_counts_at_once(tmp_path: Path) -> None:
    async def scenario(world: World) -> None:
        assert (await world.ask("viewer", "GET", f"{TEAM}/pods")).status == 200
        await world.ask("root", "DELETE", f"{RBAC}/namespaces/team/rolebindings/view")
        await world.clock.settle()
        assert (await world.ask("viewer", "GET", f"{TEAM}/pods")).status == 403

    within(tmp_path, scenario)


MARK = "never-to-be-seen"
_PIECES = (
    *("api", "apis", "v1", "apps", "namespaces", "team", "other", "secrets", "s", "pods", "p", "nodes", "node-1"),
    *("", ".", "..", "%2e%2e", "*", "status", "exec", "log", "proxy", "watch", "openapi", "v2", "healthz", "metrics"),
)
_QUERIES = (
    *("", "watch=true&timeoutSeconds=1", "limit=1", "resourceVersion=0", "fieldSelector=metadata.name%3Ds"),
    *("labelSelector=a", "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=1"),
    *("dryRun=All", "pretty=1", "continue=x", "fieldSelector=spec.nodeName%3Dnode-1", "includeObject=Object"),
)
_ACCEPTS = (
    "",
    "application/json;as=Table;v=v1;g=meta.k8s.io",
    "application/yaml",
    "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
)
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get", "CONNECT")
_USUAL = ("api/v1/namespaces/team/secrets", "api/v1/secrets", "api/v1/namespaces/team/secrets/s")


class Kept:
    """A sink that keeps what a watch sends."""

    writable = True

    def __init__(self) -> None:
        self.data = b""

    def write(self, chunk: bytes) -> None:
        self.data += chunk

    def end(self) -> None: ...


async def _everything_sent(response: Response) -> bytes:
    body = response.body + repr(response.headers).encode()
    if response.source is not None:
        kept = Kept()
        response.source.start(kept)
        response.source.stop()
        body += kept.data
    if response.stream is not None:
        async for chunk in response.stream:
            body += chunk
    return body


def _odd_path(rng: random.Random) -> str:
    if rng.random() < 0.5:
        pieces = rng.choice(_USUAL).split("/")
        pieces.insert(rng.randrange(len(pieces) + 1), rng.choice(_PIECES))
    else:
        pieces = [rng.choice(_PIECES) for _ in range(rng.randint(1, 7))]
    return "/" + "/".join(pieces)


@pytest.mark.parametrize("identity", ["nobody", "user", "viewer", "sa", "node-2", "actor", "acting", "sched", "forged"])
def test_no_odd_request_gets_at_a_secret(tmp_path: Path, identity: str) -> None:
    """Paths, methods, queries and forms of answers put together by chance, the same each time."""

    async def scenario(world: World) -> None:
        data = {"stringData": {"a": MARK}, "metadata": {"annotations": {"note": MARK}}}
        await world.ask("root", "PATCH", f"{TEAM}/secrets/s", data, patch=True)
        mark = (MARK.encode(), base64.b64encode(MARK.encode()))
        seen = await _everything_sent(await world.ask("root", "GET", f"{TEAM}/secrets/s"))
        assert all(each in seen for each in mark)
        rng = random.Random(identity)
        who = world.identities[identity]
        for _ in range(500):
            path, query = _odd_path(rng), rng.choice(_QUERIES)
            headers = {**who.headers, "accept": rng.choice(_ACCEPTS)}
            request = Request(rng.choice(_METHODS), path, Query(query), headers, b"{}", certificate=who.certificate)
            response = await world.server._pipeline(request)
            shown = f"{request.method} {path}?{query}"
            assert response.status != 500, shown
            sent = await _everything_sent(response)
            assert not any(each in sent for each in mark), shown

    within(tmp_path, scenario)


if __name__ == "__main__":

    async def _show() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with world(Path(folder)) as made:
                sys.stdout.write(await table_of(made))

    asyncio.run(_show())
