"""Objects of every kind by their schema, half sensible, and what spoils them: as documents and as bytes."""

# ruff: noqa: E501 (tables of values)

import base64
import copy
import json
import random
from typing import Any

from kajitori.api.resource import Resource
from kajitori.api.schema import nodes
from kajitori.api.schema.definitions import definition_of
from kajitori.api.schema.nodes import Node, node_of

MARK = "never-to-be-told-5e1f"
"""Stands in every Secret and every bearer token; may be in no log and in no answer to others."""

STRINGS = (
    *("", "a", "x-1", "default", "Always", "http", "/", "/a/b", "..", "-", "a" * 64, "A_B", "1", "0", "true", "null"),
    *("10.0.0.1", "10.96.0.0/12", "::1", "*", "*.a.example", "a.example", "https://a.example/x?y#z", "app=a,b!=c"),
    *("\x00", "\u2028", "\u00e9", "\U0001f600", "%s%n", "${PATH}", "$(A)", "{{.}}", "<<", "\r\nX: y", "'", '"', "\\"),
    *("100m", "1Gi", "1e400", "-1", "\u00b2", "9" * 5000, "9223372036854775808", "2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "PT1S", "1h"),
    *("*/5 * * * *", "@every 1s", "0 0 31 2 *", "(a+)+$", "[", "^(([a-z])+.)+[A-Z]([a-z])+$", "a{1000}{1000}"),
    *("self.x", "true", "object.spec", "[1].map(x, [1].map(y, x))", "((((((((", "'a'.matches('(a*)*')", "1/0"),
    *("kubernetes.io/x", "a/b/c", "k8s.io/pause", "RollingUpdate", "NoSchedule", "ClusterIP", "LoadBalancer", "TCP"),
)  # fmt: skip
NUMBERS = (
    *(0, 1, -1, 2, 10, 80, 65535, 65536, 2**31 - 1, 2**31, -(2**31), 2**53 + 1, 2**63 - 1, -(2**63), 2**64 - 1),
    *(0.5, -0.0, 1e18, 1e300, -1e300, 5e-324),
)
ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    [],
    {},
    [[]],
    {"": None},
    [None],
    {"a": {}},
    [{}],
    *NUMBERS[:6],
    *STRINGS[:6],
)
# What only text can say, put where a value stands.
LITERALS = (
    *(
        b"1e400",
        b"-0",
        b"-1e400",
        b"9" * 400,
        b"18446744073709551616",
        b"1E5",
        b"1.0",
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
    ),
    *(b'"\\u0000"', b"NaN", b"Infinity", b"-", b"01", b"'a'", b'"\xff\xfe"', b'"\x00"', b"[" * 2000, b'{"a":' * 300),
    *(
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"b":2},"a":[]}',
        b"[" * 200 + b"]" * 200,
        b"/**/1",
        b"",
        b",",
        b"&a [*a]",
        b"!!x 1",
    ),
)


def dumps(document: Any) -> bytes:
    """Deeper than orjson writes."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


class Maker:
    """Documents by chance."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def of(self, resource: Resource, name: str, namespace: str) -> dict[str, Any]:
        definition = definition_of(resource.group, resource.version, resource.kind)
        document = self._struct(node_of(definition), 0) if definition else {"spec": self.any(2)}
        metadata: dict[str, Any] = {"name": name}
        if namespace:
            metadata["namespace"] = namespace
        if self.chance.random() < 0.3:
            metadata |= self._struct(node_of("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"), 2)
            metadata["name"] = name
            metadata.pop("generateName", None)
        return document | {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}

    def _struct(self, node: Node, depth: int) -> dict[str, Any]:
        often = max(0.12, 0.75 - 0.12 * depth)
        names = [name for name in node.fields if name not in ("metadata", "status") or depth]
        return {name: self._value(node.fields[name].node, depth + 1) for name in names if self.chance.random() < often}

    def _value(self, node: Node, depth: int) -> Any:
        chance = self.chance
        if chance.random() < 0.03:
            return copy.deepcopy(chance.choice(ODD))
        match node.kind:
            case nodes.STRUCT if depth < 9:
                return self._struct(node, depth)
            case nodes.MAP if node.element is not None:
                return {
                    chance.choice(STRINGS): self._value(node.element, depth + 1) for _ in range(chance.randint(0, 3))
                }
            case nodes.LIST if node.element is not None:
                return [self._value(node.element, depth + 1) for _ in range(chance.randint(0, 2 if depth > 3 else 4))]
            case nodes.BOOL:
                return chance.random() < 0.5
            case nodes.INT32 | nodes.INT64 | nodes.FLOAT:
                return chance.choice(NUMBERS[:10] if chance.random() < 0.8 else NUMBERS)
            case nodes.BYTES:
                return base64.b64encode(chance.choice(STRINGS).encode("utf-8", "replace")).decode()
            case nodes.TIME | nodes.MICRO_TIME:
                return chance.choice(
                    ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.123456Z", "x", "9999-12-31T23:59:59+23:59")
                )
            case nodes.QUANTITY:
                return chance.choice(
                    ("1", "100m", "1Gi", "1e3", 5, "-1", "1e400", "999999999999999999999", "x", "0.1n")
                )
            case nodes.INT_OR_STRING:
                return chance.choice((80, "http", "50%", "101%", -1, "x"))
            case nodes.STRING:
                return chance.choice(STRINGS)
        return self.any(2)

    def any(self, depth: int) -> Any:
        kind = self.chance.randrange(5 if depth else 3)
        if kind == 3:
            return [self.any(depth - 1) for _ in range(self.chance.randint(0, 3))]
        if kind == 4:
            return {self.chance.choice(STRINGS): self.any(depth - 1) for _ in range(self.chance.randint(0, 3))}
        return copy.deepcopy(self.chance.choice((STRINGS, NUMBERS, ODD)[kind]))

    def spoil(self, document: Any) -> Any:
        """A copy in which a few places are something else."""
        document = copy.deepcopy(document)
        for _ in range(self.chance.choice((0, 1, 1, 2, 4))):
            places = list(_places(document))
            if not places:
                break
            holder, key = self.chance.choice(places)
            match self.chance.randrange(7):
                case 0:
                    del holder[key]
                case 1:
                    times = self.chance.choice((2, 3, 200))
                    # Repeated repetitions are what fills a memory, and it would be the fuzzer's own.
                    times = min(times, max(1, _CHARACTERS_MAX // _weight(document)))
                    holder[key] = [_copy(holder[key]) for _ in range(times)]
                case 2:
                    holder[key] = self._deep(self.chance.choice((5, 60, 240, 400)))
                case 3:
                    text, times = self.chance.choice(STRINGS), self.chance.choice((1, 50, 70_000))
                    holder[key] = (text * times)[: 3 * _CHARACTERS_MAX]
                case 4 if isinstance(holder, dict):
                    holder[self.chance.choice(STRINGS)] = _copy(holder[key])
                case 5:
                    holder[key] = {self.chance.choice(STRINGS): holder[key]}
                case _:
                    holder[key] = copy.deepcopy(self.chance.choice(ODD + NUMBERS + STRINGS))
        return document

    def _deep(self, levels: int) -> Any:
        value: Any = "x"
        for _ in range(levels):
            value = {"a": value} if self.chance.random() < 0.5 else [value]
        return value

    def damage(self, body: bytes) -> bytes:
        """Bytes that may be no document any more."""
        chance = self.chance
        match chance.randrange(12):
            case 0:
                return body[: chance.randrange(len(body) + 1)]
            case 1 if body:
                at = chance.randrange(len(body))
                return body[:at] + bytes((chance.randrange(256),)) + body[at + 1 :]
            case 2:
                at = chance.randrange(len(body) + 1)
                return body[:at] + chance.choice(LITERALS) + body[at:]
            case 3 | 4:
                colons = [i for i in range(len(body)) if body[i : i + 1] == b":"]
                if not colons:
                    return body
                at = chance.choice(colons) + 1
                return body[:at] + chance.choice(LITERALS) + b"," + body[at:]
            case 5:
                return body.replace(b'"metadata":', b'"metadata":{"name":"b"},"metadata":', 1)
            case 6:
                return chance.choice((b"[", b"{", b'{"a":', b"- ", b"? ", b"&a [", b'"')) * chance.choice(
                    (50, 3000, 100_000)
                )
            case 7:
                return chance.choice((b"\xef\xbb\xbf", b"\xff\xfe", b"\x00", b"\x1f\x8b\x08", b"k8s\x00")) + body
            case 8:
                return body.decode("utf-8", "replace").encode(chance.choice(("utf-16", "utf-32", "cp037")), "replace")
            case 9:
                return self.bomb()
            case 10:
                return body + body
        return chance.randbytes(chance.choice((1, 50, 5000)))

    def bomb(self) -> bytes:
        """YAML that means far more than it says."""
        item, wide = self.chance.choice((b"x", b"{b: 1}", b"[1, 2]")), self.chance.choice((2, 10, 40))
        lines = [b"a0: &a0 [" + b",".join([item] * wide) + b"]"]
        for n in range(1, self.chance.choice((3, 9, 30))):
            if self.chance.random() < 0.8:
                lines.append(b"a%d: &a%d [%b]" % (n, n, b",".join([b"*a%d" % (n - 1)] * wide)))
            else:
                lines.append(b"a%d: &a%d {<<: *a%d, k%d: 1}" % (n, n, n - 1, n))
        return b"\n".join([b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bomb}", *lines])


_CHARACTERS_MAX = 2_000_000


def _copy(part: Any) -> Any:
    """What is too deep to be copied is left out: two places that share a part would change together."""
    try:
        return copy.deepcopy(part)
    except RecursionError:
        return None


def _weight(document: Any) -> int:
    """About as many characters as the document takes."""
    found, waiting = 0, [document]
    while waiting:
        value = waiting.pop()
        found += 4
        if isinstance(value, dict):
            waiting += value.values()
            found += sum(map(len, value))
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str):
            found += len(value)
    return found


def _places(value: Any) -> Any:
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in list(keys):
        yield value, key
        yield from _places(value[key])
