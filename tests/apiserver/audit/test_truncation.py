import orjson

from kajitori.apiserver.audit.truncation import Limits

EVENT = {"auditID": "1", "annotations": {"a": "b"}, "requestObject": {"x": "y" * 200}, "responseObject": {}}


def test_a_large_event_loses_its_objects_and_says_so() -> None:
    assert Limits(event_bytes=150).fit(EVENT) == {
        "auditID": "1",
        "annotations": {"a": "b", "audit.k8s.io/truncated": "true"},
    }
    assert Limits(event_bytes=len(orjson.dumps(EVENT))).fit(EVENT) is EVENT
    assert Limits().fit(EVENT) is EVENT


def test_one_that_is_too_large_without_them_is_left_out() -> None:
    assert Limits(event_bytes=20).fit(EVENT) is None


def test_lists_are_as_few_as_their_bytes_allow() -> None:
    events = [{"auditID": str(number)} for number in range(5)]
    assert [len(some) for some in Limits(list_bytes=2 * len(orjson.dumps(events[0]))).lists(events)] == [2, 2, 1]
    assert [len(some) for some in Limits(list_bytes=1).lists(events)] == [1] * 5
    assert list(Limits().lists(events)) == [events]
    assert list(Limits().lists([])) == []
