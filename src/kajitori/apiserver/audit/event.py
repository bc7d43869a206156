"""One audit event as JSON (audit.k8s.io/v1 Event), or as the legacy line of text. Pure: facts in, bytes out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from kajitori.api.meta import Object
from kajitori.apiserver.audit.policy import SHOWN, Decision, Level
from kajitori.apiserver.authn.user_info import user_info
from kajitori.apiserver.interfaces import Attributes, User

_AGENT_MAX = 1024
_NOT_ACCEPTABLE = 406
_STATUS = b'{"kind":"Status"'
_TRUNCATED = "...TRUNCATED"
_OF_CONTENT = "patch.webhook.admission.k8s.io/"
"""Annotations that tell what a request says, and so are only for levels that may."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a request when a stage is written. Bodies are the bytes that travelled, parsed only here."""

    audit_id: str
    asked: Attributes
    decision: Decision
    uri: str
    source_ips: tuple[str, ...]
    agent: str
    received_s: float
    impersonated: User | None = None
    constraint: str = ""
    """The verb of the constrained impersonation that was allowed."""
    request_body: bytes = b""
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class Stage:
    """`status` 0: not answered yet."""

    name: str
    at_s: float
    status: int = 0
    body: bytes = b""
    message: str = ""
    content_type: str = ""


def event(facts: Facts, stage: Stage, annotations: Mapping[str, str]) -> Object:
    """`annotations` as they were at that stage."""
    asked, level = facts.asked, facts.decision.level
    managed = facts.decision.omit_managed_fields
    sent = _parsed(facts.request_body, facts.content_type) if stage.status else None
    document: Object = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": SHOWN[level],
        "auditID": facts.audit_id,
        "stage": stage.name,
        "requestURI": facts.uri,
        "verb": asked.verb,
        "user": user_info(asked.user) if asked.user.name else {},
    }
    if facts.impersonated is not None:
        document["impersonatedUser"] = user_info(facts.impersonated)
    if facts.constraint:
        document["authenticationMetadata"] = {"impersonationConstraint": facts.constraint}
    if facts.source_ips:
        document["sourceIPs"] = list(facts.source_ips)
    if facts.agent:
        document["userAgent"] = facts.agent if len(facts.agent) <= _AGENT_MAX else facts.agent[:_AGENT_MAX] + _TRUNCATED
    if asked.is_resource:
        document["objectRef"] = _reference(asked, None if asked.verb == "patch" else sent)
    if stage.status:
        answer = _answered(asked, stage) if tells(stage) or level is Level.REQUEST_RESPONSE else None
        document["responseStatus"] = _response_status(stage, answer)
        if level >= Level.REQUEST and sent is not None:
            document["requestObject"] = _without_managed_fields(sent) if managed else sent
        if level is Level.REQUEST_RESPONSE and answer is not None:
            document["responseObject"] = _without_managed_fields(answer) if managed else answer
    document["requestReceivedTimestamp"] = micro_time(facts.received_s)
    document["stageTimestamp"] = micro_time(stage.at_s)
    if level < Level.REQUEST:
        annotations = {key: value for key, value in annotations.items() if not key.startswith(_OF_CONTENT)}
    if annotations:
        document["annotations"] = dict(annotations)
    return document


def json_line(document: Object) -> bytes:
    return orjson.dumps(document) + b"\n"


def legacy_line(document: Object) -> bytes:
    """Upstream's format of before: one line of key="value"."""
    user, reference = document["user"], document.get("objectRef") or {}
    shown: dict[str, Any] = {
        "id": document["auditID"],
        "stage": document["stage"],
        "ip": ",".join(document.get("sourceIPs") or ["<unknown>"]),
        "method": document["verb"],
        "user": user.get("username") or "<none>",
        "groups": ",".join(user.get("groups") or ["<none>"]),
        "as": (document.get("impersonatedUser") or {}).get("username") or "<self>",
        "asgroups": ",".join((document.get("impersonatedUser") or {}).get("groups") or ["<lookup>"]),
        "user-agent": document.get("userAgent", ""),
        "namespace": reference.get("namespace") or "<none>",
        "uri": document["requestURI"],
        "response": str((document.get("responseStatus") or {}).get("code") or "<deferred>"),
    }
    text = " ".join(f"{key}={orjson.dumps(value).decode()}" for key, value in shown.items())
    return f"{document['stageTimestamp']} AUDIT: {text}\n".encode()


def micro_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _reference(asked: Attributes, sent: Any) -> Object:
    """What the path does not say of the object, what was sent may: its name when it is created."""
    metadata = sent.get("metadata") if isinstance(sent, dict) else None
    if not isinstance(metadata, dict):
        metadata = {}
    found = {
        "resource": asked.resource,
        "namespace": asked.namespace or metadata.get("namespace"),
        "name": asked.name or metadata.get("name"),
        "uid": metadata.get("uid"),
        "apiGroup": asked.group,
        "apiVersion": asked.version,
        "resourceVersion": metadata.get("resourceVersion"),
        "subresource": asked.subresource,
    }
    return {key: value for key, value in found.items() if value}


def tells(stage: Stage) -> bool:
    """Whether the answer's body says what came of the request, which every level shows."""
    return stage.status >= 400 or stage.body.startswith(_STATUS)


def _answered(asked: Attributes, stage: Stage) -> Any:
    """An answer that is an object of the API; a page of text is none, and neither is what says that nothing suits."""
    answer = None if stage.status == _NOT_ACCEPTABLE else _parsed(stage.body, stage.content_type)
    return answer if asked.is_resource or (isinstance(answer, dict) and "kind" in answer) else None


def _response_status(stage: Stage, answer: Any) -> Object:
    status: Object = {"metadata": {}}
    if isinstance(answer, dict) and answer.get("kind") == "Status":
        status |= {key: answer[key] for key in ("status", "message", "reason", "details") if key in answer}
    elif stage.message:
        status["message"] = stage.message
    return {**status, "code": stage.status}


def _parsed(body: bytes, content_type: str = "") -> Any:
    """A body as JSON; None when there is none or it cannot be read."""
    if not body:
        return None
    try:
        if content_type.startswith("application/vnd.kubernetes.protobuf"):
            from kajitori.api.protobuf import decode_protobuf

            return decode_protobuf(body)
        if "yaml" in content_type:
            from kajitori.apiserver.yaml_documents import load_yaml

            return load_yaml(body)
        return orjson.loads(body)
    except Exception:  # whatever a stranger's document does to a parser
        return None


def _without_managed_fields(document: Any) -> Any:
    """A copy of an object, a list or a table without them."""
    if not isinstance(document, dict):
        return document
    copy = {**document}
    if isinstance(metadata := copy.get("metadata"), dict) and "managedFields" in metadata:
        copy["metadata"] = {key: value for key, value in metadata.items() if key != "managedFields"}
    if isinstance(items := copy.get("items"), list):
        copy["items"] = [_without_managed_fields(item) for item in items]
    if isinstance(rows := copy.get("rows"), list):
        copy["rows"] = [
            {**row, "object": _without_managed_fields(row.get("object"))} if isinstance(row, dict) else row
            for row in rows
        ]
    return copy
