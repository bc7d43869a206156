"""Expressions that are compiled once: each with the type that it must give, or with what is wrong with it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from kajitori.api.cel import types
from kajitori.api.cel.environment import Environment
from kajitori.api.cel.errors import CompileError
from kajitori.api.cel.mutation import JSON_PATCH, OBJECT
from kajitori.api.cel.program import Program, compile
from kajitori.api.cel.types import Declared, Field, Type, list_of, map_of
from kajitori.api.expressions.declarations import environment
from kajitori.api.meta import Object

BOOL: tuple[Type, ...] = (types.BOOL,)
STRING: tuple[Type, ...] = (types.STRING,)
STRING_OR_NULL: tuple[Type, ...] = (types.STRING, types.NULL)
MUTATED: tuple[Type, ...] = (OBJECT,)
PATCHES: tuple[Type, ...] = (list_of(JSON_PATCH),)
ANYTHING: tuple[Type, ...] = ()


@dataclass(frozen=True, slots=True)
class Expression:
    """Either `program` or `error` is there."""

    source: str
    program: Program | None = None
    error: str = ""


def compile_expression(source: str, environment: Environment, gives: Sequence[Type]) -> Expression:
    """`gives` are the types that the expression may have; none: any."""
    try:
        program = compile(source, environment)
    except CompileError as error:
        return Expression(source, error=f"compilation failed: {error}")
    if gives and program.type not in gives:
        return Expression(source, error=_wrong_type(program.type, gives))
    return Expression(source, program)


def _wrong_type(found: Type, gives: Sequence[Type]) -> str:
    wanted = [_name(each) for each in gives]
    if len(wanted) == 1:
        return f"must evaluate to {wanted[0]} but got {_name(found)}"
    return f"must evaluate to one of [{' '.join(wanted)}] but got {_name(found)}"


def _name(each: Type) -> str:
    return "null_type" if each == types.NULL else str(each)


@dataclass(slots=True)
class Composition:
    """A policy's `variables`, each of which may speak of those before it. `declare` is given them in order."""

    params: Declared | bool
    subject: Declared | None = None
    declared: Declared = field(default_factory=lambda: Declared(Type("object", "kubernetes.variables")))
    compiled: dict[str, Expression] = field(default_factory=dict)

    def declare(self, name: str, source: str) -> Expression:
        """One that does not compile is of any type, and fails where it is used."""
        found = compile_expression(source, self.environment(), ANYTHING)
        kind = _kept(found.program.type) if found.program is not None else types.DYN
        self.declared.fields[name] = Field(_declared(kind), name)
        self.compiled[name] = found
        return found

    def declare_all(self, variables: Iterable[Object]) -> "Composition":
        for variable in variables:
            self.declare(variable["name"], variable["expression"])
        return self

    def environment(self, *, authorizer: bool = True, patches: bool = False) -> Environment:
        return environment(
            params=self.params, authorizer=authorizer, patches=patches, variables=self.declared, subject=self.subject
        )


_SIMPLE = frozenset(types.SIMPLE.values()) - {types.DYN}


def _kept(found: Type) -> Type:
    """What is known of a variable's type where it is used: scalars, lists and maps; objects are of any type."""
    if found in _SIMPLE:
        return found
    if found.kind == "list":
        return list_of(_kept(found.parameters[0]))
    if found.kind == "map":
        return map_of(_kept(found.parameters[0]), _kept(found.parameters[1]))
    return types.DYN


def _declared(kind: Type) -> Declared:
    if kind.kind == "list":
        return Declared(kind, element=_declared(kind.parameters[0]))
    if kind.kind == "map":
        return Declared(kind, key=_declared(kind.parameters[0]), element=_declared(kind.parameters[1]))
    return Declared(kind)
