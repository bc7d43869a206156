"""The tree of an expression. The parser makes it, with macros expanded; the checker writes types into it.

`at` is the offset of the character that stands for the node in error messages: an operator, an opening bracket, the
dot of a selection. `type` and `overloads` are the checker's.
"""

from dataclasses import dataclass, field
from typing import Any

from kajitori.api.cel.types import DYN, Type

ACCUMULATOR = "@result"
OPTIONAL = "@optional"
"""What optMap is applied to: needed twice, evaluated once, paid twice."""
NOT_STRICTLY_FALSE = "@not_strictly_false"
MAP_INSERT = "cel.@mapInsert"


@dataclass(slots=True, eq=False)
class Node:
    at: int
    type: Type = field(default=DYN, init=False)


@dataclass(slots=True, eq=False)
class Literal(Node):
    value: Any


@dataclass(slots=True, eq=False)
class Ident(Node):
    """A variable, or the name of a type, which the checker writes into `constant`."""

    name: str
    constant: Type | None = field(default=None, init=False)


@dataclass(slots=True, eq=False)
class Select(Node):
    """`operand.name`; `test` for has(), `optional` for `operand.?name`. The checker writes the document's name
    of the field into `key`, and what a qualified name (`a.b`) is: into `constant` a type, into `variable` a variable
    of that name (`authorizer.requestResource`)."""

    operand: Node
    name: str
    test: bool = False
    optional: bool = False
    key: str = field(default="", init=False)
    constant: Type | None = field(default=None, init=False)
    variable: str = field(default="", init=False)


@dataclass(slots=True, eq=False)
class Call(Node):
    """A function, operators included (`_+_`); `target` for `target.function(...)`."""

    function: str
    target: Node | None
    args: list[Node]
    overloads: tuple[Any, ...] = field(default=(), init=False)

    @property
    def operands(self) -> list[Node]:
        return self.args if self.target is None else [self.target, *self.args]


@dataclass(slots=True, eq=False)
class ListOf(Node):
    """`optional` holds the numbers of elements written `?element`."""

    elements: list[Node]
    optional: frozenset[int] = frozenset()


@dataclass(slots=True, eq=False)
class Entry:
    at: int
    key: Node
    value: Node
    optional: bool = False


@dataclass(slots=True, eq=False)
class MapOf(Node):
    entries: list[Entry]


@dataclass(slots=True, eq=False)
class FieldInit:
    at: int
    name: str
    value: Node
    optional: bool = False
    key: str = field(default="", init=False)


@dataclass(slots=True, eq=False)
class Struct(Node):
    """`name{field: value}`."""

    name: str
    fields: list[FieldInit]


@dataclass(slots=True, eq=False)
class Fold(Node):
    """A comprehension: for each of `range`, while `condition`, `accumulator` becomes `step`; then `result`.

    `macro` says which macro it was written as, so that the evaluator may take a shorter way to the same value.
    """

    range: Node
    variable: str
    variable2: str
    accumulator: str
    start: Node
    condition: Node
    step: Node
    result: Node
    macro: str = ""


@dataclass(slots=True, eq=False)
class Bind(Node):
    """`value` is evaluated when `name` is first needed in `body`."""

    name: str
    value: Node
    body: Node
