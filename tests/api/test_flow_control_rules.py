"""Which flow schemas and priority levels are refused."""

from typing import Any

from kajitori.api.validation.flow_control import validate_flow_schema, validate_priority_level
from kajitori.apiserver.bootstrap.flowcontrol import flow_control


def schema(name: str, **spec: Any) -> list[str]:
    spec = {"priorityLevelConfiguration": {"name": "workload-low"}, "matchingPrecedence": 1000, **spec}
    return [error.detail for error in validate_flow_schema({"metadata": {"name": name}, "spec": spec})]


def test_what_every_cluster_has_is_valid() -> None:
    for _, obj in flow_control():
        check = validate_flow_schema if obj["kind"] == "FlowSchema" else validate_priority_level
        assert check(obj) == []


def test_two_schemas_stay_as_they_are_and_one_of_them_comes_first() -> None:
    assert schema("mine") == []
    assert schema("catch-all") == ["spec of 'catch-all' must equal the fixed value"]
    assert schema("exempt") == ["spec of 'exempt' must equal the fixed value"]
    assert schema("mine", matchingPrecedence=1) == ["only the schema named 'exempt' may have matchingPrecedence 1"]


def test_a_hand_of_queues_is_dealt_from_one_hash() -> None:
    queuing = {"queues": 1_000_000, "handSize": 4, "queueLengthLimit": 1}
    limited = {"limitResponse": {"type": "Queue", "queuing": queuing}}
    level = {"metadata": {"name": "x"}, "spec": {"type": "Limited", "limited": limited}}
    (error,) = validate_priority_level(level)
    assert error.detail == "required entropy bits of deckSize 1000000 and handSize 4 should not be greater than 60"
    queuing["handSize"] = 3
    assert validate_priority_level(level) == []
