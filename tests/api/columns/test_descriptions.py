from kajitori.api.columns import descriptions
from kajitori.api.columns.descriptions import description_of
from kajitori.api.registry import BUILTIN
from kajitori.api.resource import Column, Resource


def test_every_column_of_a_built_in_kind_says_what_it_shows() -> None:
    silent = {(kind.plural, c.name) for kind in BUILTIN for c in kind.columns if not description_of(kind, c)}
    assert silent == {("runtimeclasses", "Handler")}  # as upstream


def test_nothing_is_said_of_columns_that_there_are_not() -> None:
    names = {c.name for kind in BUILTIN for c in kind.columns}
    assert set(descriptions._OF_ANY_KIND) <= names
    assert set(descriptions._OF_KINDS) <= {(kind.plural, c.name) for kind in BUILTIN for c in kind.columns}


def test_custom_kinds_speak_for_themselves() -> None:
    kind = Resource(group="example.com", version="v1", kind="Widget", plural="widgets", schema={"type": "object"})
    assert description_of(kind, Column(name="Status", cell=lambda obj, _: "")) == ""
    assert description_of(kind, Column(name="Status", cell=lambda obj, _: "", description="d")) == "d"
