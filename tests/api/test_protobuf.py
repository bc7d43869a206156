"""Protobuf bodies as kubectl 1.37 sent them, and bytes that are none."""

import base64
import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kajitori.api.errors import BadRequest
from kajitori.api.protobuf import decode_protobuf
from kajitori.api.protobuf.decoding import _table
from kajitori.api.protobuf.wire import Malformed, fields, signed, varint
from kajitori.api.registry import Registry
from kajitori.api.schema import conform
from kajitori.api.schema.nodes import node_of

SENT = {
    "deployment": (
        "azhzAAoVCgdhcHBzL3YxEgpEZXBsb3ltZW50ErABChsKAWQSABoAIgAqADIAOABCAFoICgNhcHASAWQSggEIAxIKCggKA2FwcBIBZBpqChoKABIA"
        "GgAiACoAMgA4AEIAWggKA2FwcBIBZBJMEi4KBW5naW54EgVuZ2lueCoAMgoKABAAGFAiACoAQgBqAHIAgAEAiAEAkAEAogEAGgAyAEIASgBSAFgA"
        "YABoAIIBAIoBAJoBAMIBACICCgAoADgAGgwIABAAGAAgACgAOAAaACIA"
    ),
    "service": (
        "azhzAAoNCgJ2MRIHU2VydmljZRJmChsKAXMSABoAIgAqADIAOABCAFoICgNhcHASAXMSQwoeCgc4MC1odHRwEgNUQ1AYUCIKCAEQABoEaHR0cCgA"
        "EggKA2FwcBIBcxoAIglDbHVzdGVySVA6AEIAUgBaAGAAaAAaAgoAGgAiAA=="
    ),
    "quota": (
        "azhzAAoTCgJ2MRINUmVzb3VyY2VRdW90YRIwChEKAXESABoAIgAqADIAOABCABIZCgoKA2NwdRIDCgExCgsKBHBvZHMSAwoBMhoAGgAiAA=="
    ),
    "token": (
        "azhzAAooChhhdXRoZW50aWNhdGlvbi5rOHMuaW8vdjESDFRva2VuUmVxdWVzdBIdChAKABIAGgAiACoAMgA4AEIAEgMgkBwaBAoAEgAaACIA"
    ),
    "role": (
        "azhzAAokChxyYmFjLmF1dGhvcml6YXRpb24uazhzLmlvL3YxEgRSb2xlEiIKEQoBchIAGgAiACoAMgA4AEIAEg0KA2dldBIAGgRwb2RzGgAiAA=="
    ),
    "budget": (
        "azhzAAogCglwb2xpY3kvdjESE1BvZERpc3J1cHRpb25CdWRnZXQSOAoTCgNwZGISABoAIgAqADIAOABCABIVCgkIARAAGgM1MCUSCAoGCgFhEgFi"
        "GgoIABgAIAAoADAAGgAiAA=="
    ),
    "ingress": (
        "azhzAAofChRuZXR3b3JraW5nLms4cy5pby92MRIHSW5ncmVzcxJIChEKAWkSABoAIgAqADIAOABCABIvGi0KB2Zvby5jb20SIgogCh4KBC9iYXIS"
        "DyINCgRzdmMxEgUKABCQPxoFRXhhY3QaAgoAGgAiAA=="
    ),
}

SPECS = {
    "deployment": {
        "replicas": 3,
        "selector": {"matchLabels": {"app": "d"}},
        "template": {
            "metadata": {"labels": {"app": "d"}},
            "spec": {
                "containers": [{"name": "nginx", "image": "nginx", "ports": [{"containerPort": 80}], "resources": {}}]
            },
        },
        "strategy": {},
    },
    "service": {
        "ports": [{"name": "80-http", "protocol": "TCP", "port": 80, "targetPort": "http"}],
        "selector": {"app": "s"},
        "type": "ClusterIP",
    },
    "quota": {"hard": {"cpu": "1", "pods": "2"}},
    "token": {"audiences": None, "expirationSeconds": 3600, "boundObjectRef": None},
    "budget": {"minAvailable": "50%", "selector": {"matchLabels": {"a": "b"}}},
    "ingress": {
        "rules": [
            {
                "host": "foo.com",
                "http": {
                    "paths": [
                        {
                            "path": "/bar",
                            "pathType": "Exact",
                            "backend": {"service": {"name": "svc1", "port": {"number": 8080}}},
                        }
                    ]
                },
            }
        ]
    },
}


def without_nothing(value):
    if isinstance(value, dict):
        return {key: item for key, child in value.items() if (item := without_nothing(child)) is not None}
    return [without_nothing(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", sorted(SPECS))
def test_what_kubectl_sends_is_the_document_that_it_means(name):
    document = decode_protobuf(base64.b64decode(SENT[name]))
    resource = Registry().by_kind(document["apiVersion"], document["kind"])
    if resource is not None:
        assert conform(resource, document) == []
        document["spec"].get("template", {}).get("spec", {}).pop("securityContext", None)
    assert without_nothing(document["spec"]) == without_nothing(SPECS[name])


def test_lists_of_strings_and_names():
    document = decode_protobuf(base64.b64decode(SENT["role"]))
    assert document["kind"] == "Role" and document["metadata"]["name"] == "r"
    assert document["rules"] == [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]


def test_every_field_of_every_served_kind_has_a_number():
    """The table was made from upstream's proto files; a kind that grows a field must get its number."""

    def names(entries):
        for name, value in entries.items():
            yield from names(value) if name.startswith("=") else (name,)

    missing = []
    seen = set()

    def walk(node):
        if not node.fields or node.definition in seen:
            return
        seen.add(node.definition)
        known = set(names(_table().get(node.definition, {})))
        for name, child in node.fields.items():
            if name not in known and name not in ("kind", "apiVersion"):
                missing.append(f"{node.definition}.{name}")
            walk(child.node)
            element = child.node.element
            while element is not None:
                walk(element)
                element = element.element if not element.fields else None

    for resource in Registry():
        walk(node_of(resource.definition))
    assert missing == []


def test_unknown_kinds_are_asked_for_as_json():
    envelope = b"k8s\x00" + bytes([10, 10, 10, 4]) + b"x/v1" + bytes([18, 2]) + b"No"
    for _ in range(2):  # what is asked for once is not known the next time
        with pytest.raises(BadRequest, match="send custom resources as JSON"):
            decode_protobuf(envelope)
    with pytest.raises(BadRequest, match="does not appear to be a protobuf message"):
        decode_protobuf(b'{"kind": "Pod"}')


@given(st.sampled_from(sorted(SENT)), st.data())
def test_damaged_bytes_are_refused_or_read_but_never_a_fault(name, data):
    body = bytearray(base64.b64decode(SENT[name]))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(4, len(body) - 1))
        body[position] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(4, len(body)))
    with contextlib.suppress(BadRequest):
        json.dumps(decode_protobuf(bytes(body[:cut])))


@given(st.integers(-(2**63), 2**63 - 1))
def test_numbers_of_the_wire(number):
    encoded = bytearray()
    rest = number & (2**64 - 1)
    while True:
        byte, rest = rest & 0x7F, rest >> 7
        encoded.append(byte | (0x80 if rest else 0))
        if not rest:
            break
    value, end = varint(memoryview(bytes(encoded)), 0)
    assert signed(value) == number and end == len(encoded)


def test_a_message_that_is_cut_off():
    for broken in (b"\x08", b"\x0a\x05ab", b"\x09\x00", b"\x0d\x00", b"\x0b", b"\x08" + b"\xff" * 11):
        with pytest.raises(Malformed):
            list(fields(memoryview(broken)))
