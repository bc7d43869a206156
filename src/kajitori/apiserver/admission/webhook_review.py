"""admission.k8s.io AdmissionReview, v1 and v1beta1: what a webhook is asked, and what its answer means. Pure."""

import base64
from collections.abc import Sequence
from typing import Any

import orjson

from kajitori.api.errors import StatusError
from kajitori.api.meta import Object
from kajitori.api.resource import Resource
from kajitori.apiserver.admission.matching import namespace_of_request
from kajitori.apiserver.admission.review_answers import Unreadable, read_review
from kajitori.apiserver.admission.versions import kind_of_document
from kajitori.apiserver.authn.user_info import user_info
from kajitori.apiserver.interfaces import AdmissionRequest
from kajitori.kit.syntax_errors import json_error, literal

GROUP = "admission.k8s.io"
V1, V1BETA1 = "v1", "v1beta1"
_JSON_PATCH = "JSONPatch"
_UNDECODABLE = (
    "received undecodable patch in webhook response: json: cannot unmarshal {} into Go value of type jsonpatch.{}"
)


class BadAnswer(Exception):
    """The webhook answered something that is no answer."""


def review_version(accepted: Sequence[str]) -> str:
    """The first that both sides know. Raises BadAnswer."""
    for version in accepted:
        if version in (V1, V1BETA1):
            return version
    raise BadAnswer(
        "could not create admission objects: webhook does not accept known AdmissionReview versions (v1, v1beta1)"
    )


def admission_request(request: AdmissionRequest, version: Resource) -> Object:
    """The request as policies and webhooks see it, without its objects. `version` is the one that their rule names."""
    asked: Object = {
        "kind": _kind(kind_of_document(request, version)),
        "resource": _plural(version),
        "requestKind": _kind(kind_of_document(request, request.resource)),
        "requestResource": _plural(request.resource),
        "operation": str(request.operation),
        "userInfo": user_info(request.user),
        "dryRun": request.dry_run,
        "options": request.options or None,
    }
    if request.name:
        asked["name"] = request.name
    if namespace := namespace_of_request(request):
        asked["namespace"] = namespace
    if request.subresource:
        asked["subResource"] = asked["requestSubResource"] = request.subresource
    return asked


def _kind(resource: Resource) -> Object:
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}


def _plural(resource: Resource) -> Object:
    return {"group": resource.group, "version": resource.version, "resource": resource.plural}


def question(asked: Object, obj: Object | None, old: Object | None, uid: str, version: str) -> Object:
    """The whole review. `asked` comes from `admission_request`; `version` from `review_version`."""
    request = {"uid": uid, **asked, "object": obj, "oldObject": old}
    return {"kind": "AdmissionReview", "apiVersion": f"{GROUP}/{version}", "request": request}


def read_answer(body: bytes, uid: str, version: str, *, mutating: bool) -> Object:
    """The `response` of an AdmissionReview. Raises BadAnswer."""
    try:
        review = read_review(body, version)
    except Unreadable as error:
        raise BadAnswer(f"failed to call webhook: {error}") from None
    response: Object | None = review.get("response")
    if response is None:
        raise BadAnswer("received invalid webhook response: webhook response was absent")
    if version == V1:
        problem = _v1_problem(review, response, uid, mutating)
        if problem:
            raise BadAnswer(f"received invalid webhook response: {problem}")
    return response


def _v1_problem(review: Object, response: Object, uid: str, mutating: bool) -> str:
    """What v1 demands of an answer and v1beta1 did not."""
    if response.get("uid", "") != uid:
        return f'expected response.uid="{uid}", got "{response.get("uid", "")}"'
    group_version, kind = review.get("apiVersion") or "/", review.get("kind") or ""
    if (group_version, kind) != (f"{GROUP}/{V1}", "AdmissionReview"):
        return f"expected webhook response of {GROUP}/{V1}, Kind=AdmissionReview, got {group_version}, Kind={kind}"
    patch, patch_type = response.get("patch"), response.get("patchType")
    if not mutating:
        if patch:
            return "validating webhook may not return response.patch"
        return "validating webhook may not return response.patchType" if patch_type is not None else ""
    if patch and patch_type is None:
        return "webhook returned response.patch but not response.patchType"
    if not patch and patch_type is not None:
        return "webhook returned response.patchType but not response.patch"
    return 'webhook returned invalid response.patchType of ""' if patch_type == "" else ""


def patch_of(response: Object, version: str) -> list[Any]:
    """The JSON patch that a mutating webhook wants applied. Raises BadAnswer."""
    if not response.get("patch"):
        return []
    try:
        patch = orjson.loads(base64.b64decode(response["patch"]))
    except orjson.JSONDecodeError as error:
        why = json_error(base64.b64decode(response["patch"])) or str(error)
        raise BadAnswer(f"received undecodable patch in webhook response: {why}") from None
    if patch is None:
        return []
    if not isinstance(patch, list):
        raise BadAnswer(_UNDECODABLE.format(literal(patch), "Patch"))
    for operation in patch:
        if not isinstance(operation, dict):
            raise BadAnswer(_UNDECODABLE.format(literal(operation), "Operation"))
    if patch and version == V1 and response.get("patchType") != _JSON_PATCH:
        raise BadAnswer(f'unsupported patch type "{response.get("patchType", "")}"')
    return patch


def denial(name: str, response: Object) -> StatusError:
    """What the client is told, with the code and the details that the webhook chose."""
    given = response.get("status")
    status: Object = dict(given) if isinstance(given, dict) else {}
    message = f'admission webhook "{name}" denied the request'
    why = status.get("message") or status.get("reason")
    status["message"] = f"{message}: {why}" if why else f"{message} without explanation"
    code = status.get("code")
    status["code"] = code if isinstance(code, int) and code >= 400 else 400
    return StatusError.from_status(status)
