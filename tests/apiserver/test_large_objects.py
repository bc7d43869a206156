"""What is large, or many, costs what its size is worth, and no more is kept than a store can hold."""

import asyncio
import time
from typing import Any

import orjson
import pytest

from kajitori.api import core
from kajitori.api.errors import Invalid, RequestEntityTooLarge
from kajitori.api.patch import strategic
from kajitori.api.schema import duplicate_fields, strict_messages
from kajitori.api.schema.structural_validation import ERRORS_MAX, validate
from kajitori.api.selectors import parse_label_selector
from kajitori.apiserver.documents import STORED_BYTES_MAX, encode
from kajitori.apiserver.http_types import Query, Request
from kajitori.testing.cluster import ControlPlane

MANY = 20_000
# A machine in no hurry needs a tenth; what was quadratic took minutes.
SECONDS_MAX = 10.0


@pytest.fixture(autouse=True)
def soon() -> Any:
    begun = time.process_time()
    yield
    assert time.process_time() - begun < SECONDS_MAX


def test_a_strategic_patch_of_long_lists() -> None:
    pod = {
        "kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a", "finalizers": [f"a.b/{n}" for n in range(MANY)]},
        "spec": {"containers": [{"name": f"c{n}", "image": "x"} for n in range(MANY)]},
    }  # fmt: skip
    patch = {
        "metadata": {"$deleteFromPrimitiveList/finalizers": [f"a.b/{n}" for n in range(0, MANY, 2)]},
        "spec": {
            "containers": [{"name": f"c{n}", "image": "y"} for n in range(0, 2 * MANY, 2)],
            "$setElementOrder/containers": [{"name": f"c{n}"} for n in range(0, 2 * MANY, 2)],
        },
    }
    patched = strategic.apply(pod, patch, core.POD)
    assert len(patched["spec"]["containers"]) == MANY + MANY // 2
    assert len(patched["metadata"]["finalizers"]) == MANY // 2


def test_a_selector_of_nothing_but_brackets() -> None:
    with pytest.raises(Exception, match="expected: !, identifier"):
        parse_label_selector("(" * 200_000)


def test_as_many_unknown_as_repeated_fields() -> None:
    body = b'{"data":{' + b",".join(b'"k%d":"1"' % (n % 1000) for n in range(MANY)) + b"},"
    body += b",".join(b'"u%d":1' % n for n in range(MANY)) + b"}"
    unknown = [f"u{n}" for n in range(MANY)]
    assert len(strict_messages(unknown, duplicate_fields(body), body)) == MANY + 1000


def test_errors_beyond_what_anybody_reads_are_not_told() -> None:
    schema = {"type": "array", "items": {"type": "string", "enum": [f"e{n}" for n in range(1000)]}}
    errors = validate(schema, ["a"] * MANY, "spec")
    assert len(errors) == ERRORS_MAX
    assert len(Invalid.of("g", "K", "n", errors * 100).message) < 2 * 1024 * 1024


def test_an_object_keeps_its_managed_fields_as_long_as_they_fit() -> None:
    def of(size: int) -> Any:
        return {"metadata": {"name": "a", "managedFields": [{"manager": "m" * 1000}]}, "data": {"k": "x" * size}}

    assert b"managedFields" in encode(core.CONFIG_MAP, of(1000))
    assert b"managedFields" not in encode(core.CONFIG_MAP, of(STORED_BYTES_MAX - 500))
    with pytest.raises(RequestEntityTooLarge, match="too large to be stored"):
        encode(core.CONFIG_MAP, of(STORED_BYTES_MAX))


@pytest.mark.parametrize("options", [{"preconditions": []}, {"preconditions": {"uid": 1}}, {"dryRun": "All"},
    {"propagationPolicy": {}}, {"orphanDependents": 1}, {"gracePeriodSeconds": "1"}])  # fmt: skip
def test_options_of_a_deletion_have_types(options: Any) -> None:
    async def scenario() -> int:
        async with ControlPlane() as plane:
            path = "/api/v1/namespaces/default/configmaps/a"
            request = Request("DELETE", path, Query(), {"content-type": "application/json"}, orjson.dumps(options))
            return (await plane.server._pipeline(request)).status

    assert asyncio.run(scenario()) == 400


@pytest.mark.parametrize(
    "query", ["resourceVersion=%C2%B2", "resourceVersion=" + "9" * 5000, "limit=%D9%A3", "limit=1_0"]
)
def test_numbers_that_only_python_reads_are_refused(query: str) -> None:
    async def scenario() -> int:
        async with ControlPlane() as plane:
            return (await plane.server._pipeline(Request("GET", "/api/v1/configmaps", Query(query)))).status

    assert asyncio.run(scenario()) == 400


def test_a_negative_limit_is_none() -> None:
    async def scenario() -> int:
        async with ControlPlane() as plane:
            return (await plane.server._pipeline(Request("GET", "/api/v1/namespaces", Query("limit=-1")))).status

    assert asyncio.run(scenario()) == 200
