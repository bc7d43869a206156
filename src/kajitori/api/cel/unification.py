"""When a value of one type may stand where another is expected, with type parameters bound on the way."""

from kajitori.api.cel.types import DYN, Type

_ANYTHING = frozenset({"dyn", "any", "error"})
_NULLABLE = frozenset({"opaque", "object", "timestamp", "duration"})


class Bindings:
    """What the type parameters of one expression stand for."""

    def __init__(self) -> None:
        self._bound: dict[str, Type] = {}
        self._fresh = 0

    def fresh(self) -> Type:
        self._fresh += 1
        return Type("param", f"_var{self._fresh}")

    def assignable(self, one: Type, other: Type) -> bool:
        return self.all_assignable((one,), (other,))

    def all_assignable(self, some: tuple[Type, ...], others: tuple[Type, ...]) -> bool:
        """Binds parameters only if all fit."""
        before = dict(self._bound)
        if len(some) == len(others) and all(map(self._fits, some, others)):
            return True
        self._bound = before
        return False

    def resolve(self, given: Type, *, free_is_dyn: bool = False) -> Type:
        """With bound parameters replaced; free ones stay, or become dyn."""
        if given.kind == "param":
            bound = self._bound.get(given.name)
            if bound is not None:
                return self.resolve(bound, free_is_dyn=free_is_dyn)
            return DYN if free_is_dyn else given
        if not given.parameters:
            return given
        inner = tuple(self.resolve(each, free_is_dyn=free_is_dyn) for each in given.parameters)
        return given if inner == given.parameters else Type(given.kind, given.name, inner)

    def _fits(self, one: Type, other: Type) -> bool:
        if other.kind == "param":
            bound = other.name in self._bound
            if self._substitutes(one, other):
                return True
            if bound:
                return False
        if one.kind == "param":
            return self._substitutes(other, one)
        if one.kind in _ANYTHING or other.kind in _ANYTHING:
            return True
        if one.kind == "null" or other.kind == "null":
            return one.kind == other.kind or (other if one.kind == "null" else one).kind in _NULLABLE
        if one.kind != other.kind or len(one.parameters) != len(other.parameters):
            return False
        if one.kind in ("opaque", "object") and one.name != other.name:
            return False
        return one.kind == "type" or all(map(self._fits, one.parameters, other.parameters))

    def _substitutes(self, value: Type, parameter: Type) -> bool:
        if value == parameter:
            return True
        bound = self._bound.get(parameter.name)
        if bound is None:
            if self._mentions(value, parameter):
                return False
            self._bound[parameter.name] = value
            return True
        if value == bound:
            return True
        if not self._fits(value, bound):
            return False
        general = most_general(value, bound)
        if not self._mentions(general, parameter):
            self._bound[parameter.name] = general
        return True

    def _mentions(self, given: Type, parameter: Type) -> bool:
        if given == parameter:
            return True
        if given.kind == "param":
            bound = self._bound.get(given.name)
            return bound is not None and self._mentions(bound, parameter)
        return any(self._mentions(each, parameter) for each in given.parameters)


def most_general(one: Type, other: Type) -> Type:
    return one if _less_specific(one, other) else other


def _less_specific(one: Type, other: Type) -> bool:
    if one.kind in ("dyn", "param"):
        return True
    if other.kind in ("dyn", "param"):
        return False
    if one.kind != other.kind or one.name != other.name or len(one.parameters) != len(other.parameters):
        return False
    return all(map(_less_specific, one.parameters, other.parameters))
