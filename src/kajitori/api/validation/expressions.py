"""The expressions of webhooks and policies compiled, to say what is wrong with them. Imported when there is one."""

from collections.abc import Sequence

from kajitori.api.cel.types import Type
from kajitori.api.expressions.compiled import (
    BOOL,
    MUTATED,
    PATCHES,
    STRING,
    STRING_OR_NULL,
    Composition,
    compile_expression,
)
from kajitori.api.expressions.declarations import environment
from kajitori.api.field_errors import invalid
from kajitori.api.meta import Object
from kajitori.api.validation.checks import Errors

GIVES: dict[str, tuple[Type, ...]] = {
    "validation": BOOL,
    "message": STRING,
    "annotation": STRING_OR_NULL,
    "applyConfiguration": MUTATED,
    "jsonPatch": PATCHES,
}
_PATCHES = ("applyConfiguration", "jsonPatch")


def condition_errors(path: str, source: str, *, params: bool) -> Errors:
    yield from _errors(path, source, compile_expression(source, environment(params=params), BOOL).error)


def _errors(path: str, shown: str, error: str) -> Errors:
    if error:
        yield invalid(path, shown, error)


class PolicyExpressions:
    """Those of one policy; its variables are known to what follows them, where it has any."""

    def __init__(self, spec: Object, *, composed: bool) -> None:
        self._params = spec.get("paramKind") is not None
        self._composition = Composition(params=self._params) if composed else None

    def variable(self, path: str, name: str, source: str) -> Errors:
        assert self._composition is not None
        yield from _errors(path, source, self._composition.declare(name, source).error)

    def errors(self, path: str, purpose: str, source: str, shown: str = "") -> Errors:
        """`purpose` is a key of `GIVES`; `shown` is what the error shows where that is not the source itself."""
        gives: Sequence[Type] = GIVES[purpose]
        authorizer, patches = purpose != "message", purpose in _PATCHES
        if self._composition is not None:
            where = self._composition.environment(authorizer=authorizer, patches=patches)
        else:
            where = environment(params=self._params, authorizer=authorizer, patches=patches)
        yield from _errors(path, shown or source, compile_expression(source, where, gives).error)
