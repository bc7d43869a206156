"""apiextensions.k8s.io ConversionReview: what a conversion webhook is asked, and what its answer means. Pure."""

from collections.abc import Sequence
from typing import Any

import orjson

from kajitori.api.meta import Object
from kajitori.api.validation.object_meta import validate_annotations, validate_labels
from kajitori.apiserver.json_object import json_object

GROUP = "apiextensions.k8s.io"
_KNOWN = ("v1", "v1beta1")
_FREE = {"labels": validate_labels, "annotations": validate_annotations}
"""What of the metadata a webhook may change, and what judges the change."""
_PATHS = {"labels": "metadata.labels", "annotations": "metadata.annotation"}
_SAME = (("name", "name"), ("namespace", "namespace"), ("uid", "UID"))
_GO_TYPES = {str: "string", bool: "bool", int: "int64", float: "float64", list: "[]interface {}", type(None): "<nil>"}


class BadConversion(Exception):
    """The webhook answered something that is no conversion; the message says what."""


class UnfitObject(BadConversion):
    """One of the objects that came back will not do. `what`: of its "kind", as an "object", or its "metadata"."""

    def __init__(self, why: str, what: str = "object") -> None:
        super().__init__(why)
        self.what = what


def review_version(understood: Sequence[str]) -> str:
    """The first version of the review that both sides know. Raises BadConversion."""
    for version in understood:
        if version in _KNOWN:
            return version
    raise BadConversion("no supported conversion review versions")


def question(objects: Sequence[Object], api_version: str, uid: str, version: str) -> bytes:
    request = {"uid": uid, "desiredAPIVersion": api_version, "objects": objects}
    review = {"kind": "ConversionReview", "apiVersion": f"{GROUP}/{version}", "request": request}
    return orjson.dumps(review)


def answer(body: bytes, uid: str, version: str) -> list[Any]:
    """The converted objects. Raises BadConversion."""
    try:
        review = json_object(body)
    except ValueError as error:
        raise BadConversion(str(error)) from None
    if version == "v1":
        _check_kind(review)
    response = review.get("response")
    if not isinstance(response, dict):
        raise BadConversion("no response provided")
    if version == "v1" and response.get("uid") != uid:
        raise BadConversion(f'expected response.uid="{uid}", got "{response.get("uid", "")}"')
    result = response.get("result")
    status = result.get("status") or "" if isinstance(result, dict) else ""
    if status != "Success":
        message = result.get("message") if isinstance(result, dict) else ""
        raise BadConversion(str(message or f"response.result.status was '{status}', not 'Success'"))
    converted = response.get("convertedObjects")
    return converted if isinstance(converted, list) else []


def _check_kind(review: Object) -> None:
    kind, api_version = review.get("kind", ""), review.get("apiVersion", "")
    if (kind, api_version) != ("ConversionReview", f"{GROUP}/v1"):
        raise BadConversion(
            f"expected webhook response of {GROUP}/v1, Kind=ConversionReview, got {api_version}, Kind={kind}"
        )


def accepted(original: Object, converted: Any, api_version: str) -> Object:
    """The converted object with the original's metadata, but for labels and annotations. Raises UnfitObject."""
    if not isinstance(converted, dict):
        raise UnfitObject(f"it is no object but {_go_type(converted)}")
    if converted.get("apiVersion") != api_version:
        raise UnfitObject(
            f"invalid groupVersion (expected {api_version}, received {converted.get('apiVersion', '')})", "kind"
        )
    if converted.get("kind") != original["kind"]:
        raise UnfitObject(f"invalid kind (expected {original['kind']}, received {converted.get('kind', '')})", "kind")
    if "metadata" not in converted:
        before = original["metadata"]
        if before.get("name"):
            raise UnfitObject(f"must have the same name: {before['name']} != ")
        raise UnfitObject("missing metadata in converted object", "metadata")
    meta, before = converted["metadata"], original["metadata"]
    if not isinstance(meta, dict):
        raise UnfitObject(f"invalid metadata of type {_go_type(meta)} in converted object", "metadata")
    for field, shown in _SAME:
        was, came = before.get(field) or "", meta.get(field) or ""
        if was != came:
            raise UnfitObject(f"must have the same {shown}: {was} != {came}")
    kept = dict(before)
    for field in _FREE:
        kept.pop(field, None)
        if meta.get(field) is not None:
            kept[field] = _strings(field, meta[field], before.get(field) or {})
    return {**converted, "metadata": kept}


def _strings(field: str, came: Any, were: Object) -> Object:
    if not isinstance(came, dict):
        raise UnfitObject(f"invalid metadata.{field} of type {_go_type(came)} in converted object", "metadata")
    for key, value in came.items():
        if not isinstance(value, str):
            why = f"metadata.{field}[{key}] must be a string, but is {_go_type(value)} in converted object"
            raise UnfitObject(why, "metadata")
    if came != were and (errors := _FREE[field](came, _PATHS[field])):
        shown = ", ".join(str(error) for error in errors)
        raise UnfitObject(shown if len(errors) == 1 else f"[{shown}]", "metadata")
    return came


def _go_type(value: Any) -> str:
    return _GO_TYPES.get(type(value), "map[string]interface {}")
