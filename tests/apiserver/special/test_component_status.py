"""componentstatuses as upstream serves them."""

import asyncio
from typing import Any

import orjson
import pytest

from kajitori.api.core import COMPONENT_STATUS
from kajitori.api.errors import BadRequest, MethodNotAllowed, NotFound
from kajitori.apiserver.http_types import Query, Request, RequestContext
from kajitori.apiserver.interfaces import ANONYMOUS, Attributes
from kajitori.apiserver.special.component_status import ComponentStatuses


async def _refused() -> str:
    return "connection refused"


CHECKS = {"scheduler": _refused, "controller-manager": lambda: "", "etcd-0": lambda: ""}


def ask(name: str = "", verb: str = "list", accept: str = "", **selectors: str) -> Any:
    attributes = Attributes(ANONYMOUS, verb, resource="componentstatuses", name=name, **selectors)
    request = Request("GET", "/", Query(), {"accept": accept})
    (handler,) = ComponentStatuses(CHECKS).handlers().values()
    response = asyncio.run(handler(RequestContext(request, ANONYMOUS, attributes, COMPONENT_STATUS)))  # type: ignore[arg-type]
    return orjson.loads(response.body)


def test_each_part_says_how_it_is() -> None:
    found = ask()
    assert (found["kind"], found["apiVersion"], found["metadata"]) == ("ComponentStatusList", "v1", {})
    assert [item["metadata"]["name"] for item in found["items"]] == ["scheduler", "controller-manager", "etcd-0"]
    assert found["items"][0]["conditions"] == [{"type": "Healthy", "status": "False", "message": "connection refused"}]
    assert ask("etcd-0", "get") == {
        "kind": "ComponentStatus",
        "apiVersion": "v1",
        "metadata": {"name": "etcd-0"},
        "conditions": [{"type": "Healthy", "status": "True", "message": "ok"}],
    }


def test_a_table_has_a_row_for_each() -> None:
    table = ask(accept="application/json;as=Table;g=meta.k8s.io;v=v1")
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Status", "Message", "Error"]
    assert [row["cells"] for row in table["rows"]] == [
        ["scheduler", "Unhealthy", "connection refused", ""],
        ["controller-manager", "Healthy", "ok", ""],
        ["etcd-0", "Healthy", "ok", ""],
    ]


def test_selectors_choose() -> None:
    assert ask(label_selector="a=b")["items"] == []
    assert [item["metadata"]["name"] for item in ask(field_selector="metadata.name=etcd-0")["items"]] == ["etcd-0"]
    assert len(ask(field_selector="metadata.name!=etcd-0")["items"]) == 2
    assert ask("nope", field_selector="metadata.name=nope")["items"] == []
    with pytest.raises(BadRequest, match='"x" is not a known field selector'):
        ask(field_selector="x=y")


def test_what_is_not_there_and_what_cannot_be_done() -> None:
    with pytest.raises(NotFound, match='componentstatus "nope" not found'):
        ask("nope", "get")
    with pytest.raises(MethodNotAllowed, match="watch is not supported on resources of kind"):
        ask(verb="watch")
    with pytest.raises(MethodNotAllowed, match="the server does not allow this method"):
        ask("etcd-0", "delete")
