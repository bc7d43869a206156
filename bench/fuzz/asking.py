"""Requests by chance: every verb, kind and form, most of them almost right."""

# ruff: noqa: E501 (tables of values)

import base64
import copy
import gzip
import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from bench.fuzz import definitions, wires
from bench.fuzz.documents import MARK, STRINGS, Maker, dumps
from kajitori.api.registry import Registry
from kajitori.api.resource import Resource
from kajitori.apiserver.yaml_documents import dump_yaml

JSON_PATCH, MERGE_PATCH = "application/json-patch+json", "application/merge-patch+json"
STRATEGIC_PATCH, APPLY_PATCH = "application/strategic-merge-patch+json", "application/apply-patch+yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"

NAMES = ("a", "b", "c", "default")
ODD_NAMES = (
    *(
        "..",
        ".",
        "%2e%2e",
        "%00",
        "%2f",
        "a%2Fb",
        "%E2%82%AC",
        "%ff",
        "A" * 300,
        "a:b",
        "-",
        "a;b=c",
        "*",
        "%0d%0aX:%20y",
    ),
    *("kubernetes", "kube-root-ca.crt", "system:masters", "a.b.c", "watch", "status"),
)
POINTERS = (
    *("", "/", "/metadata", "/metadata/labels", "/metadata/labels/a~1b", "/metadata/-1", "/a/~2", "/spec", "/spec/-"),
    *("/metadata/name", "/metadata/namespace", "/metadata/uid", "/kind", "/data", "/data/a", "/spec/containers/0"),
    *("/spec/containers/-", "/spec/containers/-1", "/spec/containers/01", "/spec/containers/999999999999999999999"),
    *(
        "/metadata/managedFields",
        "/metadata/managedFields/0/fieldsV1",
        "/metadata/ownerReferences",
        "x",
        "/\u0000",
        "~",
    ),
)
SELECTORS = (
    *(
        "",
        "a=b",
        "a",
        "!a",
        "a in (b,c)",
        "a notin (",
        "a,b,c",
        "a>1",
        "a<x",
        "=",
        "a==",
        "a!=b",
        "((((",
        "a in ()",
        "\x00",
    ),
    *(
        "metadata.name=a",
        "metadata.namespace!=default",
        "status.phase=Running",
        "spec.x=1",
        "a\\,b=c",
        "metadata.name=a\\",
    ),
    *("metadata.name=" + "x" * 5000, ",".join(f"k{n}=v" for n in range(400)), "a in (" + ",".join(["x"] * 3000) + ")"),
)
REVISIONS = (
    "",
    "0",
    "1",
    "-1",
    "x",
    "99999999",
    "9" * 30,
    "9" * 5000,
    "1.0",
    "0x1",
    " 1",
    "\u0661",
    "\u00b2",
    "1_000",
    "NaN",
)
BOOLEANS = ("", "true", "false", "1", "0", "x", "TRUE")
WHOLE = ("", "0", "1", "2", "-1", "500", "9" * 19, "9" * 5000, "x", "1e3", "\u0663", "\u00b2", "1_0")
QUERY = {
    "labelSelector": SELECTORS, "fieldSelector": SELECTORS, "resourceVersion": REVISIONS, "limit": WHOLE,
    "resourceVersionMatch": ("Exact", "NotOlderThan", "x", ""), "timeoutSeconds": WHOLE, "watch": BOOLEANS,
    "allowWatchBookmarks": BOOLEANS, "sendInitialEvents": BOOLEANS, "pretty": BOOLEANS, "dryRun": ("All", "x", ""),
    "fieldManager": ("m", "", "x" * 200, "\u00e9\x00", "a b"), "force": BOOLEANS, "gracePeriodSeconds": WHOLE,
    "fieldValidation": ("Strict", "Warn", "Ignore", "x"), "propagationPolicy": ("Orphan", "Foreground", "Background", "x"),
    "orphanDependents": BOOLEANS, "includeObject": ("None", "Metadata", "Object", "x"), "container": STRINGS,
    "command": STRINGS, "tailLines": WHOLE, "sinceTime": STRINGS, "path": STRINGS, "ports": WHOLE, "stdout": BOOLEANS,
    "timeout": ("1s", "x", "-1s", "99999h", "1" * 400 + "s"), "exclude": STRINGS, "verbose": BOOLEANS,
}  # fmt: skip
ACCEPTS = (
    *("", "*/*", "application/json", "application/yaml", PROTOBUF, f"{PROTOBUF}, application/json", "text/html", ";;;,,"),
    *("application/json;as=Table;v=v1;g=meta.k8s.io", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"),
    *("application/yaml;as=Table;v=v1;g=meta.k8s.io", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"),
    *("application/json;as=Table;v=v9;g=meta.k8s.io, application/json", "application/json;q=nan", "application/json;q=1e999"),
    *(",".join(["application/x"] * 10_000), ",".join(f"application/json;as=Table;v=v{n}" for n in range(2000)), "\xff/\xfe"),
    *("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"),
)  # fmt: skip
HEADERS = {
    "Impersonate-User": ("stranger", "", "system:serviceaccount:default:default", "\xff", "system:node:node-1", "a" * 5000),
    "Impersonate-Group": ("system:masters", "", "g,h"), "Impersonate-Uid": ("x", ""),
    "Impersonate-Extra-%41": ("x",), "Impersonate-Extra-": ("y",), "Impersonate-Extra-%zz%ff": ("z",),
    "Authorization": (f"Bearer {MARK}", f"Bearer a.b.{MARK}", f"Basic {MARK}", "Bearer", "Bearer \xff", f"bearer {MARK} x",
                      "Bearer " + "e" * 9000, "Bearer e30.e30.e30", "Bearer abcdef.0123456789abcdef"),
    "Accept-Encoding": ("gzip", "gzip;q=0", "br, gzip", "\xff"), "Content-Encoding": ("gzip", "br", "identity"),
    "If-None-Match": ('"x"', "*", "\xff"), "User-Agent": ("kubectl/v1.36", "", "x" * 9000, "\xff\xfe"),
    "traceparent": ("00-" + "f" * 32 + "-" + "0" * 16 + "-01", "x", "00-" + "z" * 60), "X-Remote-User": ("root",),
    "X-Forwarded-For": ("1.2.3.4", "\xff"), "Audit-ID": ("x", "y" * 9000, "\xff"), "Kubectl-Command": ("\xff",),
    "Sec-WebSocket-Protocol": (f"base64url.bearer.authorization.k8s.io.{MARK}", "base64url.bearer.authorization.k8s.io.\xff"),
    "Connection": ("Upgrade", "close"), "Upgrade": ("SPDY/3.1", "websocket", "h2c"), "Host": ("x", "", "[::1", "\xff"),
}  # fmt: skip
PATHS = (
    *("/", "/api", "/apis", "/api/", "/apis/", "/version", "/healthz", "/livez/etcd", "/readyz?verbose", "/metrics", "/x"),
    *("/openapi/v2", "/openapi/v3", "/openapi/v3/api/v1", "/openapi/v3/apis/apps/v1?hash=x", "/openapi/v3/../..", "/logs"),
    *("/.well-known/openid-configuration", "/openid/v1/jwks", "/debug/api_priority_and_fairness/dump_queues", "//", "/../"),
    *("/api/v1/watch/pods", "/api/v1/watch", "/apis/apps", "/apis/apps/v1", "/apis/nothing.example/v1/x", "/api/v2/pods"),
    *("/api//v1///pods", "/api/v1/namespaces//pods", "/api/v1/pods/", "/%61pi/v1/pods", "/api/v1/namespaces/default/../a"),
    *("/api/v1/%00", "/api/v1/" + "a/" * 3000, "/" + "%2e%2e/" * 500 + "etc/passwd", "/flagz", "/statusz", "/configz"),
)  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """A request as its bytes, and what is to be known of it to judge the answer."""

    wire: bytes
    identity: str
    method: str
    target: str
    reads_secrets: bool


class Asker:
    def __init__(self, chance: random.Random, registry: Registry, corpus: Iterable[dict[str, Any]] = ()) -> None:
        self.chance = chance
        self.maker = Maker(chance)
        self._registry = registry
        self._known: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for document in (*definitions.SENSIBLE, *corpus):
            self._known.setdefault((document["apiVersion"], document["kind"]), []).append(document)
        self._tokens = [""]
        """Continue tokens seen."""

    def seen(self, body: bytes) -> None:
        """Learn from an answer what can be sent back."""
        at = body.find(b'"continue":"', 0, 400)
        if at >= 0:
            self._tokens = [*self._tokens[-20:], body[at + 12 : at + 200].partition(b'"')[0].decode("latin-1")]

    def ask(self) -> Asked:
        chance = self.chance
        if chance.random() < 0.03:
            return self._watch_over_websocket()
        if chance.random() < 0.04:
            target = chance.choice(PATHS)
            return self._asked(
                chance.choice(("GET", "GET", "POST", "PUT", "OPTIONS", "HEAD", "TRACE")), target, b"", ""
            )
        resource = self._resource()
        namespace = self._one(NAMES[:2] if chance.random() < 0.2 else ("default",)) if resource.namespaced else ""
        prefix = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
        collection = (
            f"{prefix}/namespaces/{namespace}/{resource.plural}" if namespace else f"{prefix}/{resource.plural}"
        )
        name = self._one(NAMES)
        one = f"{collection}/{name}"
        subresources = [subresource.name for subresource in resource.subresources]
        if subresources and chance.random() < 0.25:
            one += f"/{chance.choice(subresources)}"
            if chance.random() < 0.3:
                return self._asked("POST", one + self._query(3), *self._body(resource, name, namespace))
        match chance.randrange(14):
            case 0 | 1 | 2 | 3:
                return self._asked("POST", collection + self._query(2), *self._body(resource, name, namespace))
            case 4 | 5:
                return self._asked("PUT", one + self._query(2), *self._body(resource, name, namespace))
            case 6 | 7 | 8 | 9:
                return self._asked("PATCH", one + self._query(3), *self._patch(resource, name, namespace))
            case 10:
                options = dumps(self.maker.spoil(DELETE_OPTIONS)) if chance.random() < 0.6 else b""
                return self._asked("DELETE", one + self._query(3), self._maybe_damaged(options), "application/json")
            case 11:
                return self._asked("GET", one + self._query(2), b"", "")
            case 12 if chance.random() < 0.15:
                return self._asked("DELETE", collection + self._query(3), b"", "")
        return self._asked("GET", collection + self._query(4), b"", "")

    def _watch_over_websocket(self) -> Asked:
        chance = self.chance
        plural = chance.choice(("configmaps", "secrets", "pods", "services"))
        target = f"/api/v1/namespaces/default/{plural}?watch=true&timeoutSeconds={chance.choice((1, 5, 60))}"
        asked = self._asked("GET", target, b"", "", wires.socket_head(chance))
        return replace(asked, wire=asked.wire + wires.frames(chance))

    def _one(self, usual: tuple[str, ...]) -> str:
        return self.chance.choice(ODD_NAMES if self.chance.random() < 0.04 else usual)

    def _resource(self) -> Resource:
        kinds = list(self._registry)
        known = [kind for kind in kinds if (kind.api_version, kind.kind) in self._known or kind.schema is not None]
        return self.chance.choice(known if self.chance.random() < 0.5 else kinds)

    def _document(self, resource: Resource, name: str, namespace: str) -> dict[str, Any]:
        known = self._known.get((resource.api_version, resource.kind))
        if known and self.chance.random() < 0.6:
            document = copy.deepcopy(self.chance.choice(known))
            document["metadata"] = {**document.get("metadata", {})}
            if resource.kind != "CustomResourceDefinition":
                document["metadata"]["name"] = name
            document["metadata"].pop("namespace", None)
            return document  # type: ignore[no-any-return]
        document = self.maker.of(resource, name, namespace)
        if resource.plural == "secrets":
            document["data"] = {"k": base64.b64encode(MARK.encode()).decode()}
        return document

    def _body(self, resource: Resource, name: str, namespace: str) -> tuple[bytes, str]:
        document, chance = self._document(resource, name, namespace), self.chance
        if resource.kind == "CustomResourceDefinition" and chance.random() < 0.7:
            document = definitions.hostile(chance)
        if chance.random() < 0.4:
            document = self.maker.spoil(document)
        form = chance.randrange(10)
        if form == 0:
            body = wires.protobuf(chance, resource.api_version, resource.kind)
            return self._maybe_damaged(body), PROTOBUF if chance.random() < 0.95 else "application/cbor"
        if form == 1:
            return gzip.compress(dumps(document), mtime=0), "application/json"
        if form < 4:
            return self._maybe_damaged(_yaml(document)), chance.choice(("application/yaml", ""))
        content_type = (
            "application/json" if chance.random() < 0.95 else chance.choice(("", "text/plain", "\xff", JSON_PATCH))
        )
        return self._maybe_damaged(dumps(document)), content_type

    def _patch(self, resource: Resource, name: str, namespace: str) -> tuple[bytes, str]:
        chance = self.chance
        match chance.randrange(4):
            case 0:
                patch = self._json_patch(resource, name, namespace)
                return self._maybe_damaged(dumps(patch)), JSON_PATCH
            case 1 | 2 as form:
                document = self.maker.spoil(self._document(resource, name, namespace))
                if chance.random() < 0.3:
                    _direct(document, chance)
                return self._maybe_damaged(dumps(document)), (MERGE_PATCH, STRATEGIC_PATCH)[form - 1]
        document = self._document(resource, name, namespace)
        if chance.random() < 0.6:
            document = self.maker.spoil(document)
        body = dumps(document) if chance.random() < 0.5 else _yaml(document)
        return self._maybe_damaged(body), APPLY_PATCH

    def _json_patch(self, resource: Resource, name: str, namespace: str) -> Any:
        chance = self.chance
        if chance.random() < 0.08:  # each doubles the document
            grown = [{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}]
            return grown + [
                {"op": "copy", "from": "/metadata", "path": f"/metadata/x{n}"} for n in range(chance.choice((5, 30)))
            ]
        if chance.random() < 0.05:
            return [{"op": "test", "path": "/kind", "value": resource.kind}] * chance.choice((9_999, 10_001))
        document = self._document(resource, name, namespace)
        pointers = (*POINTERS, *(f"/{key}" for key in document))
        operations = ("add", "remove", "replace", "move", "copy", "test", "x", None)
        return [
            self.maker.spoil({
                "op": chance.choice(operations), "path": chance.choice(pointers), "from": chance.choice(pointers),
                "value": chance.choice((self.maker.any(2), document.get("spec"), document)),
            })
            for _ in range(chance.choice((1, 1, 2, 5)))
        ]  # fmt: skip

    def _maybe_damaged(self, body: bytes) -> bytes:
        return self.maker.damage(body) if self.chance.random() < 0.08 else body

    def _query(self, most: int) -> str:
        chance = self.chance
        pairs = []
        for _ in range(chance.randint(0, most)):
            name = chance.choice(tuple(QUERY))
            pairs += [(name, chance.choice(QUERY[name])) for _ in range(1 if chance.random() < 0.9 else 2)]
        if chance.random() < 0.1:
            token = chance.choice(self._tokens)
            if chance.random() < 0.5:
                token = base64.urlsafe_b64encode(dumps(self.maker.spoil(TOKEN))).decode()
            pairs.append(("continue", token))
            pairs.append(("limit", "2"))
        text = "&".join(f"{quote(name)}={quote(value)}" for name, value in pairs)
        if chance.random() < 0.03:
            text += chance.choice(("&&&", "&%zz=%ff", "&=", "&watch", "&" + "a=b&" * 2000, ";x=y", "?", "&\xff"))
        return f"?{text}" if text else ""

    def _asked(
        self, method: str, target: str, body: bytes, content_type: str, more: Iterable[tuple[str, str]] = ()
    ) -> Asked:
        chance = self.chance
        identity = chance.choice(("root",) * 27 + ("stranger", "node", "nobody", "odd", "broken"))
        lines = [("Host", "a"), ("Content-Length", str(len(body))), *more]
        if content_type:
            lines.append(("Content-Type", content_type))
        if chance.random() < 0.15:
            lines.append(("Accept", chance.choice(ACCEPTS)))
        for _ in range(chance.choice((0, 0, 0, 0, 0, 0, 0, 1, 2))):
            name = chance.choice(tuple(HEADERS))
            lines.append((name, chance.choice(HEADERS[name])))
        if chance.random() < 0.03:
            lines.append(("Authorization", f"Bearer {wires.token(chance)}"))
        head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines)
        reads = identity == "root" and not any(name.startswith("Impersonate") for name, _ in lines)
        return Asked(head.encode("latin-1", "replace") + b"\r\n" + body, identity, method, target, reads)


DELETE_OPTIONS = {
    "kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0, "propagationPolicy": "Background",
    "preconditions": {"uid": "x", "resourceVersion": "1"}, "dryRun": ["All"], "orphanDependents": None,
}  # fmt: skip
TOKEN = {"v": "meta.k8s.io/v1", "rv": 5, "start": "a"}


def _direct(document: Any, chance: random.Random) -> None:
    """Put a strategic directive somewhere."""
    holder = document
    while isinstance(holder, dict) and holder and chance.random() < 0.7:
        holder = holder[chance.choice(list(holder))]
        if isinstance(holder, list) and holder:
            holder = chance.choice(holder)
    if isinstance(holder, dict):
        key = chance.choice(
            ("$patch", "$retainKeys", "$deleteFromPrimitiveList/x", "$setElementOrder/containers", "$x")
        )
        holder[key] = chance.choice(("delete", "replace", "merge", "x", [], ["a"], [{"name": "c"}], None, {}, 1))


def _yaml(document: Any) -> bytes:
    try:
        return dump_yaml(document)
    except (RecursionError, ValueError):
        return dumps(document)
