"""/openapi over HTTP: which form, which document, and what a client that holds one is told."""

import orjson
import pytest

from kajitori.api.registry import Registry
from kajitori.apiserver.http_types import Headers, Query, Request, RequestContext, Response
from kajitori.apiserver.openapi_documents import PROTOBUF, OpenApi, chosen
from kajitori.kit.clock import VirtualClock

APPS = "/openapi/v3/apis/apps/v1"
FORMS = {"application/json": "application/json", PROTOBUF: PROTOBUF}


@pytest.fixture(scope="module")
def openapi() -> OpenApi:
    return OpenApi(Registry(), "v1.36.2", VirtualClock(1_700_000_000.0))


def ask(openapi: OpenApi, path: str, method: str = "GET", **headers: str) -> tuple[Response, dict[str, str]]:
    path, _, query = path.partition("?")
    lines = Headers({name.replace("_", "-"): value for name, value in headers.items()})
    context = RequestContext(Request(method, path, Query(query), lines, b""))
    answer = openapi.answer(context)()
    assert answer is not None
    return answer, dict(answer.headers)


def test_the_index_names_documents_by_hash_and_a_wrong_hash_leads_to_the_right_one(openapi: OpenApi) -> None:
    index, _ = ask(openapi, "/openapi/v3")
    link = orjson.loads(index.body)["paths"]["apis/apps/v1"]["serverRelativeURL"]
    found, headers = ask(openapi, link)
    assert found.status == 200 and headers["ETag"] == f'"{link.partition("hash=")[2]}"'
    assert headers["Cache-Control"] == "public, immutable" and headers["Expires"] == "Wed, 13 Nov 2024 22:13:20 GMT"
    moved, headers = ask(openapi, f"{APPS}?hash=wrong")
    assert (moved.status, headers["Location"]) == (301, link)
    assert "Cache-Control" not in ask(openapi, APPS)[1]


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {"if_none_match": "TAG"}, 304),
        ("HEAD", {"if_none_match": 'W/TAG, "x"'}, 304),
        ("GET", {"if_none_match": '"x", TAG'}, 304),
        ("GET", {"if_none_match": "*"}, 304),
        ("GET", {"if_none_match": '"x"'}, 200),
        ("GET", {"if_none_match": "x, TAG"}, 200),
        ("POST", {"if_none_match": "TAG"}, 412),
        ("GET", {"if_match": '"x"'}, 412),
        ("GET", {"if_match": "TAG"}, 200),
        ("GET", {"if_match": "W/TAG"}, 412),
        ("GET", {"if_modified_since": "Tue, 14 Nov 2023 22:13:20 GMT"}, 304),
        ("GET", {"if_modified_since": "Tue, 14 Nov 2023 22:13:19 GMT"}, 200),
        ("GET", {"if_modified_since": "long ago"}, 200),
        ("GET", {"if_unmodified_since": "Tue, 14 Nov 2023 22:13:19 GMT"}, 412),
        ("GET", {"if_unmodified_since": "Tue, 14 Nov 2023 22:13:20 GMT"}, 200),
        ("GET", {"if_modified_since": "Tue, 14 Nov 2023 22:13:20 GMT", "if_none_match": '"x"'}, 200),
        ("GET", {"range": "bytes=99999999-"}, 416),
        ("GET", {"range": "bytes=1-2,3-4"}, 200),
        ("GET", {"range": "bytes=" + "9" * 5000 + "-"}, 200),
    ],
)
def test_conditions(openapi: OpenApi, method: str, headers: dict[str, str], status: int) -> None:
    tag = ask(openapi, APPS)[1]["ETag"]
    said = {name: value.replace("TAG", tag) for name, value in headers.items()}
    answer, _ = ask(openapi, APPS, method, **said)
    assert answer.status == status and bool(answer.body) == (status in (200, 416))


@pytest.mark.parametrize(
    ("wanted", "part"), [("bytes=0-9", (0, 10)), ("bytes=2-", (2, None)), ("bytes=-5", (-5, None))]
)
def test_ranges(openapi: OpenApi, wanted: str, part: tuple[int, int | None]) -> None:
    whole, _ = ask(openapi, APPS)
    answer, headers = ask(openapi, APPS, range=wanted)
    assert answer.status == 206 and answer.body == whole.body[part[0] : part[1]]
    assert headers["Content-Range"].endswith(f"/{len(whole.body)}")


@pytest.mark.parametrize(
    ("header", "form"),
    [
        ("", "application/json"),
        ("*/json", "application/json"),
        ("application/*", "application/json"),
        (f"application/json;q=0.5, {PROTOBUF};q=0.9", PROTOBUF),
        (f"*/*, {PROTOBUF}", PROTOBUF),
        ("text/html, application/json", "application/json"),
        ("APPLICATION/JSON", ""),
        ("text/*", ""),
        ("garbage", None),
        ("application/json;q=high", "application/json"),
    ],
)
def test_the_form_that_is_wanted_most(header: str, form: str | None) -> None:
    assert chosen(header, FORMS) == form


@pytest.mark.parametrize("path", ["/openapi/v3/nothing", "/openapi/v3/", f"{APPS}/"])
def test_what_is_no_document_of_version_3_is_not_found_without_a_word(openapi: OpenApi, path: str) -> None:
    answer, _ = ask(openapi, path)
    assert (answer.status, answer.body) == (404, b"")


def test_version_2_has_no_paths_below_it(openapi: OpenApi) -> None:
    context = RequestContext(Request("GET", "/openapi/v2/", Query(), Headers(), b""))
    assert openapi.answer(context)() is None


def test_version_3_is_not_given_in_other_forms(openapi: OpenApi) -> None:
    answer, headers = ask(openapi, APPS, accept=PROTOBUF)
    assert (answer.status, headers["Vary"]) == (406, "Accept")
    assert ask(openapi, APPS, accept="garbage")[0].body == b""
