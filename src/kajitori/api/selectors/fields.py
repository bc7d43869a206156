"""Field selectors: `metadata.name=a,spec.nodeName!=b`, with the messages of upstream's `fields` package."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from kajitori.api.errors import BadRequest
from kajitori.api.selectors.many import MANY, Together
from kajitori.kit.text_cache import text_cache


@dataclass(frozen=True, slots=True)
class FieldRequirement:
    """`field` equals (or, with `equal` false, differs from) `value`."""

    field: str
    value: str
    equal: bool = True

    def __str__(self) -> str:
        escaped = self.value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")
        return f"{self.field}{'=' if self.equal else '!='}{escaped}"


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """All requirements must hold. A field that is not there counts as the empty string."""

    requirements: tuple[FieldRequirement, ...] = ()
    _together: Together | None = field(default=None, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.requirements) > MANY:
            together = Together((r.field, "In" if r.equal else "NotIn", (r.value,)) for r in self.requirements)
            object.__setattr__(self, "_together", together)

    @property
    def empty(self) -> bool:
        return not self.requirements

    def matches(self, fields: Mapping[str, str]) -> bool:
        if self._together is not None:
            return self._together.of_fields(fields)
        return all((fields.get(r.field, "") == r.value) is r.equal for r in self.requirements)

    def required(self, name: str) -> str | None:
        """The one value that a field must have, if the selector says so (what an index can use)."""
        return next((r.value for r in self.requirements if r.equal and r.field == name), None)

    def check(self, known: Iterable[str], refusal: str = "field label not supported: {}") -> None:
        """Raise BadRequest for a field that this kind cannot be selected by; the field stands in place of `{}`."""
        names = set(known)
        for requirement in self.requirements:
            if requirement.field not in names:
                raise BadRequest(refusal.format(requirement.field))

    def renamed(self, names: Mapping[str, str]) -> "FieldSelector":
        """The same of an object whose fields are called differently; a field without another name keeps its own."""
        return FieldSelector(tuple(replace(r, field=names.get(r.field, r.field)) for r in self.requirements))

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


_TERM = re.compile(r"(?:[^\\,]|\\.)*\\?", re.DOTALL)
_OPERATOR = re.compile(r"(?:[^\\=!]|\\.|!(?!=))*?(!=|==|=)", re.DOTALL)


@text_cache(entries_max=4096, length_max=1024)
def parse_field_selector(text: str) -> FieldSelector:
    r"""`metadata.name=a,spec.nodeName!=b`; `\,` `\=` and `\\` stand for themselves. Raises BadRequest."""
    requirements = []
    position = 0
    while position <= len(text):
        match = _TERM.match(text, position)
        assert match is not None, "the pattern matches the empty string"
        position = match.end() + 1
        if term := match.group():
            requirement = _field_requirement(term, text)
            if requirement.field or requirement.value:  # `=` says nothing
                requirements.append(requirement)
    return FieldSelector(tuple(requirements))


def _field_requirement(term: str, text: str) -> FieldRequirement:
    match = _OPERATOR.match(term)
    if match is None:
        raise BadRequest(f"invalid selector: '{text}'; can't understand '{term}'")
    return FieldRequirement(term[: match.start(1)], _unescape(term[match.end() :]), match.group(1) != "!=")


def _unescape(value: str) -> str:
    if "\\" not in value and "=" not in value:
        return value
    plain: list[str] = []
    characters = iter(value)
    for character in characters:
        if character == "\\":
            escaped = next(characters, "")
            if not escaped or escaped not in "\\,=":
                raise BadRequest(f"invalid field selector: invalid escape sequence: \\{escaped}")
            plain.append(escaped)
        elif character == "=":
            raise BadRequest(f"invalid field selector: unescaped character in value: {character}")
        else:
            plain.append(character)
    return "".join(plain)
