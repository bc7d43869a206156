"""Gives every node of a tree its type, names their meaning and calls their overloads; or says what does not fit.

Source: the language definition of CEL ("gradual type checking"). Sentences are those that its users know.
"""

from collections.abc import Mapping
from typing import Any

from kajitori.api.cel.ast import (
    Bind,
    Call,
    FieldInit,
    Fold,
    Ident,
    ListOf,
    Literal,
    MapOf,
    Node,
    Select,
    Struct,
)
from kajitori.api.cel.environment import Environment
from kajitori.api.cel.errors import CompileError, Issue
from kajitori.api.cel.functions import Overload
from kajitori.api.cel.literals import wrong_literal
from kajitori.api.cel.tokens import issue
from kajitori.api.cel.types import (
    BOOL,
    DYN,
    ERROR,
    INT,
    Type,
    list_of,
    map_of,
    optional_inside,
    optional_of,
    type_of,
)
from kajitori.api.cel.unification import Bindings, most_general
from kajitori.api.cel.values import type_of as type_of_value

_AN_OBJECT = "kubernetes."
"""Types of these names are objects upstream, but of no known fields."""


def check(source: str, tree: Node, environment: Environment) -> frozenset[str]:
    """Writes types into the tree; the variables that it uses. Raises CompileError."""
    checker = _Checker(source, environment)
    try:
        checker.check(tree)
    except RecursionError:
        raise CompileError(source, [Issue(-1, 0, "expression recursion limit exceeded")]) from None
    if checker.issues:
        raise CompileError(source, checker.issues)
    checker.finish()
    if checker.issues:
        raise CompileError(source, checker.issues)
    return frozenset(checker.used)


class _Checker:
    def __init__(self, source: str, environment: Environment) -> None:
        self._source = source
        self._environment = environment
        self._bindings = Bindings()
        self._scope: Mapping[str, Type] = environment.variables
        self._seen: list[Node] = []
        self._uniform: list[ListOf | MapOf] = []
        self._in_format = False
        self.issues: list[Issue] = []
        self._misused: list[tuple[int, str]] = []
        """Literals that are none of what they are used as: told where all types are right."""
        self.used: set[str] = set()

    def finish(self) -> None:
        """Parameters that nothing has bound are dyn."""
        for node in self._seen:
            node.type = self._bindings.resolve(node.type, free_is_dyn=True)
        for literal in self._uniform:
            self._check_uniform(literal)
        for at, message in self._misused:
            self._wrong(at, message)

    def _check_uniform(self, literal: ListOf | MapOf) -> None:
        """Elements of different types may only be written as arguments of format()."""
        if isinstance(literal, ListOf):
            optional = [number in literal.optional for number in range(len(literal.elements))]
            columns = [(literal.elements, optional)]
        else:
            entries = literal.entries
            columns = [
                ([each.key for each in entries], [False] * len(entries)),
                ([each.value for each in entries], [each.optional for each in entries]),
            ]
        for nodes, are_optional in columns:
            kinds = [_inside(node.type, optional) for node, optional in zip(nodes, are_optional, strict=True)]
            different = next((number for number, kind in enumerate(kinds) if kind != kinds[0]), None)
            if different is not None:
                self._mismatch(nodes[different].at, kinds[0], kinds[different])

    def check(self, node: Node) -> Type:
        self._seen.append(node)
        node.type = self._CHECKS[type(node)](self, node)
        return node.type

    def _wrong(self, at: int, message: str) -> Type:
        self.issues.append(issue(self._source, at, message))
        return ERROR

    def _mismatch(self, at: int, expected: Type, found: Type) -> Type:
        return self._wrong(at, f"expected type '{self._shown(expected)}' but found '{self._shown(found)}'")

    def _shown(self, each: Type) -> Type:
        return self._bindings.resolve(each, free_is_dyn=True)

    # Names and selections

    def _literal(self, node: Literal) -> Type:
        return type_of_value(node.value)

    def _ident(self, node: Ident) -> Type:
        found = self._named(node, node.name)
        if found is None:
            return self._wrong(node.at, f"undeclared reference to '{node.name}' (in container '')")
        return found

    def _named(self, node: Node, name: str) -> Type | None:
        """The type of a variable, or of a type's name; None for neither."""
        bare = name.removeprefix(".")
        variable = self._scope.get(bare)
        if variable is not None:
            self.used.add(bare)
            return variable
        named = self._environment.type_named(bare)
        if named is None:
            return None
        if isinstance(node, Ident | Select):
            node.constant = named
        return type_of(named)

    def _select(self, node: Select) -> Type:
        if not node.test and not node.optional:
            name = _qualified(node)
            if name is not None and "." in name and (name in self._scope or not self._begins_with_variable(name)):
                found = self._named(node, name)
                node.variable = name if name in self._scope else ""
                if found is not None:
                    return found
        result = self._field_of(node)
        return BOOL if node.test else self._bindings.resolve(result)

    def _begins_with_variable(self, name: str) -> bool:
        return name.partition(".")[0] in self._scope

    def _field_of(self, node: Select) -> Type:
        operand = self._bindings.resolve(self.check(node.operand))
        inside = optional_inside(operand)
        target = operand if inside is None else inside
        node.key = node.name
        result = ERROR
        if target.kind == "map":
            result = target.parameters[1]
        elif target.kind == "object":
            result = self._declared_field(node, target.name, node.name, node.at)
        elif target.kind == "param":
            self._bindings.assignable(DYN, target)
            result = DYN
        elif target.kind == "opaque" and target.name.startswith(_AN_OBJECT):
            result = self._wrong(node.at, f"unexpected failed resolution of '{target}'")
        else:
            if target.kind not in ("dyn", "any", "error"):
                self._wrong(node.at, f"type '{target}' does not support field selection")
            result = DYN
        return optional_of(result) if inside is not None or node.optional else result

    def _declared_field(self, node: Select | FieldInit, type_name: str, name: str, at: int) -> Type:
        declared = self._environment.objects.find(type_name)
        node.key = name
        if declared is None:
            return self._wrong(at, f"unexpected failed resolution of '{type_name}'")
        # Words of the language are escaped in the schema's names, but may be selected as they are.
        field = declared.fields.get(name) or declared.fields.get(f"__{name}__")
        if field is not None:
            node.key = field.key
            return field.type.type
        return DYN if declared.open else self._wrong(at, f"undefined field '{name}'")

    # Calls

    def _call(self, node: Call) -> Type:
        arguments = self._arguments(node)
        if node.target is not None:
            qualified = self._namespaced(node)
            if qualified is not None:
                node.function, node.target = qualified, None
            else:
                arguments = (self.check(node.target), *arguments)
        overloads = self._environment.functions.get(node.function.removeprefix("."))
        if overloads is None:
            return self._wrong(node.at, f"undeclared reference to '{node.function}' (in container '')")
        node.function = node.function.removeprefix(".")
        return self._resolved(node, overloads, arguments)

    def _arguments(self, node: Call) -> tuple[Type, ...]:
        outer = self._in_format
        self._in_format = outer or node.function == "format"
        arguments = tuple(self.check(arg) for arg in node.args)
        self._in_format = outer
        return arguments

    def _namespaced(self, node: Call) -> str | None:
        """`ip.isCanonical` and the like are functions, not methods of a variable."""
        prefix = _qualified(node.target)
        if prefix is None:
            return None
        name = f"{prefix}.{node.function}".removeprefix(".")
        return name if name in self._environment.functions else None

    def _resolved(self, node: Call, overloads: tuple[Overload, ...], arguments: tuple[Type, ...]) -> Type:
        if node.function in ("_&&_", "_||_"):
            wrong = [
                self._mismatch(arg.at, BOOL, given)
                for arg, given in zip(node.args, arguments, strict=True)
                if not self._bindings.assignable(given, BOOL)
            ]
            node.overloads = overloads
            return ERROR if wrong else BOOL
        result: Type | None = None
        matching: list[Overload] = []
        is_member = node.target is not None
        for overload in overloads:
            if overload.is_member != is_member:
                continue
            parameters, returned = self._instance(overload)
            if not self._bindings.all_assignable(arguments, parameters):
                continue
            matching.append(overload)
            returned = self._bindings.resolve(returned)
            if result is None:
                result = returned
            elif result.kind != "dyn" and returned != result:
                result = DYN
        if result is None:
            return self._no_overload(node, arguments)
        node.overloads = tuple(matching)
        if (wrong_argument := wrong_literal(node)) is not None:
            self._misused.append(wrong_argument)
        return result

    def _instance(self, overload: Overload) -> tuple[tuple[Type, ...], Type]:
        """The parameters and result with fresh type parameters."""
        fresh: dict[str, Type] = {}
        parameters = tuple(self._renamed(each, fresh) for each in overload.parameters)
        return parameters, self._renamed(overload.result, fresh)

    def _renamed(self, each: Type, fresh: dict[str, Type]) -> Type:
        """No inner function that calls itself: that would be a cycle, and all that is compiled would hang on it until a
        full collection of garbage."""
        if each.kind == "param":
            if each.name not in fresh:
                fresh[each.name] = self._bindings.fresh()
            return fresh[each.name]
        if not each.parameters:
            return each
        return Type(each.kind, each.name, tuple(self._renamed(inner, fresh) for inner in each.parameters))

    def _no_overload(self, node: Call, arguments: tuple[Type, ...]) -> Type:
        shown = [str(self._shown(each)) for each in arguments]
        written = f"({', '.join(shown)})" if node.target is None else f"{shown[0]}.({', '.join(shown[1:])})"
        return self._wrong(node.at, f"found no matching overload for '{node.function}' applied to '{written}'")

    # Literals of several

    def _list(self, node: ListOf) -> Type:
        if not self._in_format:
            self._uniform.append(node)
        element: Type | None = None
        for number, each in enumerate(node.elements):
            found = self._unwrapped(each, self.check(each), number in node.optional)
            element = self._joined(element, found)
        return list_of(self._bindings.fresh() if element is None else element)

    def _map(self, node: MapOf) -> Type:
        if not self._in_format:
            self._uniform.append(node)
        keys: Type | None = None
        values: Type | None = None
        for entry in node.entries:
            keys = self._joined(keys, self.check(entry.key))
            found = self._unwrapped(entry.value, self.check(entry.value), entry.optional)
            values = self._joined(values, found)
        if keys is None or values is None:
            return map_of(self._bindings.fresh(), self._bindings.fresh())
        return map_of(keys, values)

    def _unwrapped(self, node: Node, given: Type, optional: bool) -> Type:
        if not optional:
            return given
        inside = optional_inside(given)
        if inside is None and given.kind != "dyn":
            return self._mismatch(node.at, optional_of(given), given)
        return given if inside is None else inside

    def _joined(self, previous: Type | None, current: Type) -> Type:
        if previous is None:
            return current
        return most_general(previous, current) if self._bindings.assignable(previous, current) else DYN

    def _struct(self, node: Struct) -> Type:
        name = node.name.removeprefix(".")
        named = self._environment.type_named(name)
        if named is None:
            return self._wrong(node.at, f"undeclared reference to '{node.name}' (in container '')")
        if named.kind != "object":
            return self._wrong(node.at, f"'{named}' is not a message type")
        node.name = name
        for field in node.fields:
            value = self._unwrapped(field.value, self.check(field.value), field.optional)
            expected = self._declared_field(field, name, field.name, field.at)
            if not self._bindings.assignable(expected, value):
                self._wrong(
                    field.at,
                    f"expected type of field '{field.name}' is '{self._shown(expected)}' but provided type is "
                    f"'{self._shown(value)}'",
                )
        return named

    # Scopes

    def _fold(self, node: Fold) -> Type:
        over = self._bindings.resolve(self.check(node.range))
        start = self.check(node.start)
        one, two = self._variables_of(node, over)
        outer = self._scope
        used = set(self.used)
        accumulating = {**outer, node.accumulator: start}
        self._scope = {**accumulating, node.variable: one}
        if node.variable2:
            self._scope = {**self._scope, node.variable2: two}
        self._expect(node.condition, BOOL)
        self._expect(node.step, start)
        self._scope = accumulating
        result = self.check(node.result)
        self._scope = outer
        local = {node.accumulator, node.variable, node.variable2}
        self.used = used | {name for name in self.used if name not in local}
        return self._bindings.resolve(result)

    def _variables_of(self, node: Fold, over: Type) -> tuple[Type, Type]:
        match over.kind:
            case "list":
                return (INT, over.parameters[0]) if node.variable2 else (over.parameters[0], DYN)
            case "map":
                return over.parameters[0], over.parameters[1]
            case "dyn" | "error" | "param":
                self._bindings.assignable(DYN, over)
                return DYN, DYN
        shown = self._shown(over)
        message = f"expression of type '{shown}' cannot be range of a comprehension (must be list, map, or dynamic)"
        self._wrong(node.range.at, message)
        return ERROR, ERROR

    def _expect(self, node: Node, expected: Type) -> None:
        found = self.check(node)
        if not self._bindings.assignable(expected, found):
            self._mismatch(node.at, expected, found)

    def _bind(self, node: Bind) -> Type:
        value = self.check(node.value)
        outer = self._scope
        used = set(self.used)
        self._scope = {**outer, node.name: value}
        result = self.check(node.body)
        self._scope = outer
        self.used = used | {name for name in self.used if name != node.name}
        return result

    _CHECKS: Mapping[type[Node], Any] = {
        Literal: _literal,
        Ident: _ident,
        Select: _select,
        Call: _call,
        ListOf: _list,
        MapOf: _map,
        Struct: _struct,
        Fold: _fold,
        Bind: _bind,
    }


def _inside(given: Type, is_optional: bool) -> Type:
    inside = optional_inside(given) if is_optional else None
    return given if inside is None else inside


def _qualified(node: Node | None) -> str | None:
    """`a.b.c` as a name; None for what is not only names."""
    words: list[str] = []
    while isinstance(node, Select) and not node.test and not node.optional:
        words.append(node.name)
        node = node.operand
    if not isinstance(node, Ident):
        return None
    return ".".join([node.name, *reversed(words)])
