"""admission.k8s.io/v1 AdmissionReview: what a webhook is asked, and what its answer means. Pure."""

import base64
import binascii
from typing import Any

import orjson

from kajitori.api.errors import StatusError
from kajitori.api.meta import Object
from kajitori.apiserver.authn.reviews import user_info
from kajitori.apiserver.interfaces import AdmissionRequest

VERSION = "admission.k8s.io/v1"


class BadAnswer(Exception):
    """The webhook answered something that is no answer."""


def question(request: AdmissionRequest, uid: str) -> Object:
    resource = request.resource
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    plural = {"group": resource.group, "version": resource.version, "resource": resource.plural}
    asked: Object = {
        "uid": uid,
        "kind": kind,
        "resource": plural,
        "requestKind": kind,
        "requestResource": plural,
        "name": request.name,
        "operation": str(request.operation),
        "userInfo": user_info(request.user),
        "object": _typed(request, request.object),
        "oldObject": _typed(request, request.old),
        "dryRun": request.dry_run,
        "options": request.options or None,
    }
    if request.namespace:
        asked["namespace"] = request.namespace
    if request.subresource:
        asked["subResource"] = asked["requestSubResource"] = request.subresource
    return {"kind": "AdmissionReview", "apiVersion": VERSION, "request": asked}


def _typed(request: AdmissionRequest, obj: Object | None) -> Object | None:
    if obj is None:
        return None
    return {"kind": request.resource.kind, "apiVersion": request.resource.api_version, **obj}


def read_answer(body: bytes, uid: str) -> Object:
    """The `response` of an AdmissionReview. Raises BadAnswer."""
    try:
        review = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadAnswer(f"the answer is not JSON: {error}") from None
    response = review.get("response") if isinstance(review, dict) else None
    if not isinstance(response, dict):
        raise BadAnswer("webhook response was absent")
    if response.get("uid") != uid:
        raise BadAnswer(f'expected response.uid="{uid}", got "{response.get("uid", "")}"')
    if review.get("kind") != "AdmissionReview" or review.get("apiVersion") != VERSION:
        found = f"{review.get('apiVersion', '')}, Kind={review.get('kind', '')}"
        raise BadAnswer(f"expected webhook response of {VERSION}, Kind=AdmissionReview, got {found}")
    return response


def patch_of(response: Object) -> list[Any]:
    """The JSON patch that a mutating webhook wants applied. Raises BadAnswer."""
    if not response.get("patch"):
        return []
    if response.get("patchType") != "JSONPatch":
        raise BadAnswer(f'unsupported patch type "{response.get("patchType", "")}", must be "JSONPatch"')
    try:
        patch = orjson.loads(base64.b64decode(response["patch"]))
    except (binascii.Error, orjson.JSONDecodeError) as error:
        raise BadAnswer(f"the patch cannot be read: {error}") from None
    if not isinstance(patch, list):
        raise BadAnswer("the patch is not a list of operations")
    return patch


def denial(name: str, response: Object) -> StatusError:
    """What the client is told, with the code that the webhook chose."""
    status = response.get("status") or {}
    message = f'admission webhook "{name}" denied the request'
    if status.get("message"):
        message = f"{message}: {status['message']}"
    elif status.get("reason"):
        message = f"{message}: {status['reason']}"
    else:
        message = f"{message} without explanation"
    code = status.get("code") or 403
    if code < 400:
        code = 400 if code else 403
    reason = status.get("reason") or ("Forbidden" if code == 403 else "")
    return StatusError.from_status(
        {"message": message, "reason": reason, "code": code, "details": status.get("details")}
    )
