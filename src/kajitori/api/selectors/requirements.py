"""Conditions on labels, and selectors made of them: immutable and hashable, so that watches can be indexed by them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kajitori.api.field_errors import invalid
from kajitori.api.selectors.label_syntax import label_value_errors
from kajitori.api.selectors.many import MANY, Together, integer

IN, NOT_IN, EXISTS, DOES_NOT_EXIST = "In", "NotIn", "Exists", "DoesNotExist"
GREATER_THAN, LESS_THAN = "Gt", "Lt"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one label. `values` are sorted and distinct."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value is not None and value in self.values
            case "NotIn":
                return value is None or value not in self.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
        number = integer(value)
        limit = integer(self.values[0])
        if number is None or limit is None:
            return False
        return number > limit if self.operator == GREATER_THAN else number < limit

    def __str__(self) -> str:
        match self.operator:
            case "Exists":
                return self.key
            case "DoesNotExist":
                return f"!{self.key}"
            case "Gt" | "Lt":
                return f"{self.key}{'>' if self.operator == GREATER_THAN else '<'}{self.values[0]}"
        if len(self.values) == 1:
            return f"{self.key}{'=' if self.operator == IN else '!='}{self.values[0]}"
        return f"{self.key} {'in' if self.operator == IN else 'notin'} ({','.join(self.values)})"


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """All requirements must hold; none of them means everything. `nothing` selects no object at all."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False
    _together: Together | None = field(default=None, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.requirements) > MANY or any(len(r.values) > MANY for r in self.requirements):
            object.__setattr__(self, "_together", Together((r.key, r.operator, r.values) for r in self.requirements))

    @property
    def empty(self) -> bool:
        return not self.requirements and not self.nothing

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        if self.nothing:
            return False
        found = labels or {}
        if self._together is not None:
            return self._together.of_labels(found)
        return all(requirement.matches(found) for requirement in self.requirements)

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


EVERYTHING = LabelSelector()
NOTHING = LabelSelector(nothing=True)


def checked(key: str, operator: str, values: Iterable[str]) -> Requirement:
    """Check the values; raises ValueError in upstream's words."""
    chosen = tuple(sorted(set(values)))
    if operator in (IN, NOT_IN) and not chosen:
        raise ValueError(str(invalid("values", [], "for 'in', 'notin' operators, values set can't be empty")))
    if operator in (GREATER_THAN, LESS_THAN) and integer(chosen[0]) is None:
        detail = "for 'Gt', 'Lt' operators, the value must be an integer"
        raise ValueError(str(invalid("values[0]", chosen[0], detail)))
    for index, value in enumerate(chosen):
        if errors := label_value_errors(value):
            raise ValueError(str(invalid(f"values[{index}][{key}]", value, "; ".join(errors))))
    return Requirement(key, operator, chosen)
