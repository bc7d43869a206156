"""What webhooks may answer, and what people are told of what they may not."""

import base64

import orjson
import pytest

from kajitori.apiserver.admission.review_answers import Unreadable, read_review
from kajitori.apiserver.admission.webhook_review import BadAnswer, patch_of, read_answer

REVIEW = {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1"}
PARSE = "couldn't get version/kind; json parse error: "
GO = "json: cannot unmarshal {} into Go struct field {} of type {}"


def answered(**response: object) -> bytes:
    return orjson.dumps({**REVIEW, "response": {"uid": "u", "allowed": True, **response}})


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"kind":', PARSE + "unexpected end of JSON input"),
        (b"{} x", PARSE + "invalid character 'x' after top-level value"),
        (b"- a", PARSE + "json: cannot unmarshal array into Go value of type struct "),
        (answered(allowed="true"), GO.format("string", "AdmissionResponse.response.allowed", "bool")),
        (answered(allowed=1), GO.format("number", "AdmissionResponse.response.allowed", "bool")),
        (answered(warnings="one"), GO.format("string", "AdmissionResponse.response.warnings", "[]string")),
        (answered(warnings=[1]), GO.format("number", "AdmissionResponse.response.warnings", "string")),
        (
            answered(auditAnnotations={"k": 1}),
            GO.format("number", "AdmissionResponse.response.auditAnnotations", "str"),
        ),
        (answered(status="no"), GO.format("string", "AdmissionResponse.response.status", "v1.Status")),
        (answered(status={"code": "403"}), GO.format("string", "Status.response.status.code", "int32")),
        (answered(status={"details": "x"}), GO.format("string", "Status.response.status.details", "v1.StatusDetails")),
        (
            answered(status={"details": {"causes": [{"field": 1}]}}),
            GO.format("number", "StatusCause.response.status.details.causes.field", "string"),
        ),
        (answered(patch=[{}]), GO.format("object", "AdmissionResponse.response.patch", "uint8")),
        (answered(patch="YQ!="), "illegal base64 data at input byte 2"),
        (orjson.dumps({**REVIEW, "response": "x"}), GO.format("string", "AdmissionReview.response", "v1.Admission")),
        (
            orjson.dumps({**REVIEW, "kind": "Foo"}),
            'no kind "Foo" is registered for version "admission.k8s.io/v1" in scheme "k8s.io/apiserver/',
        ),
        (
            orjson.dumps({**REVIEW, "apiVersion": "admission.k8s.io/v1beta1"}),
            "converting (v1beta1.AdmissionReview) to (v1.AdmissionReview): unknown conversion",
        ),
        (orjson.dumps({"kind": "Status", "apiVersion": "v1"}), "converting (v1.Status) to (v1.AdmissionReview): unkn"),
    ],
)
def test_what_is_no_review_is_told_in_the_decoders_words(body: bytes, why: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read_review(body, "v1")
    assert str(caught.value).startswith(why)


def test_yaml_and_unknown_fields_will_do() -> None:
    body = b"kind: AdmissionReview\napiVersion: admission.k8s.io/v1\nmore: 1\nresponse: {uid: u, allowed: true}\n"
    assert read_answer(body, "u", "v1", mutating=False)["allowed"]


def test_an_absent_kind_is_named_as_empty_where_version_1_demands_one() -> None:
    with pytest.raises(BadAnswer, match=r"got /, Kind=$"):
        read_answer(b'{"response":{"uid":"u"}}', "u", "v1", mutating=False)
    assert read_answer(b'{"response":{"allowed":true}}', "u", "v1beta1", mutating=False) == {"allowed": True}


@pytest.mark.parametrize(
    ("patch", "why"),
    [
        (b'{"op":"add"}', "json: cannot unmarshal object into Go value of type jsonpatch.Patch"),
        (b"[1]", "json: cannot unmarshal number into Go value of type jsonpatch.Operation"),
        (b"junk", "invalid character 'j' looking for beginning of value"),
    ],
)
def test_what_is_no_patch(patch: bytes, why: str) -> None:
    response = {"patch": base64.b64encode(patch).decode(), "patchType": "JSONPatch"}
    with pytest.raises(BadAnswer) as caught:
        patch_of(response, "v1")
    assert str(caught.value) == f"received undecodable patch in webhook response: {why}"
    assert patch_of({"patch": base64.b64encode(b"null").decode(), "patchType": "JSONPatch"}, "v1") == []
