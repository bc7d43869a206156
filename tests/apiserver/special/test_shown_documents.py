from typing import Any

import pytest

from kajitori.apiserver.special import shown_documents
from kajitori.apiserver.special.shown_documents import Memory, ShownDocuments


def test_a_document_is_read_once_and_kept_as_it_is_when_nothing_changes() -> None:
    reads = []

    def read(obj: dict[str, Any]) -> dict[str, Any]:
        reads.append(obj["metadata"]["name"])
        return obj

    shown = ShownDocuments("Widget", "example.com/v1", read, Memory())
    same = b'{"kind":"Widget","apiVersion":"example.com/v1","metadata":{"name":"a"}}'
    assert shown(same) is same
    assert shown(bytes(bytearray(same))) is same
    other = same.replace(b"/v1", b"/v2")
    assert shown(other) == same
    assert reads == ["a", "a"]


def test_the_longest_unused_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown_documents, "DOCUMENTS", 2)
    memory: Memory[str] = Memory()
    for key in ("a", "b"):
        memory.put(key, b"x", 1)
    memory.get("a")
    memory.put("c", b"x", 1)
    assert [memory.get(key) for key in ("a", "b", "c")] == [b"x", None, b"x"]
    memory.put("d", b"x", shown_documents.BYTES + 1)
    assert memory.get("d") is None
