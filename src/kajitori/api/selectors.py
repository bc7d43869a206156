"""Label and field selectors: the query language of lists and watches, and metav1.LabelSelector.

The grammar and its messages are those of upstream's `labels` and `fields` packages: kubectl shows them as they are.
Both kinds are immutable and hashable, so that a watch can be indexed by its selector.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from kajitori.api.errors import BadRequest
from kajitori.api.field_errors import invalid
from kajitori.api.meta import Object

IN, NOT_IN, EXISTS, DOES_NOT_EXIST = "In", "NotIn", "Exists", "DoesNotExist"
GREATER_THAN, LESS_THAN = "Gt", "Lt"

_NAME = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME_RULE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_PREFIX_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


def label_key_errors(key: str) -> list[str]:
    """What is wrong with a qualified name (`prefix/name`), in upstream's words."""
    prefix, slash, name = key.rpartition("/")
    if slash and "/" in prefix:
        return [
            f"a qualified name {_NAME_RULE} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
        ]
    errors = []
    if slash and not prefix:
        errors.append("prefix part must be non-empty")
    elif slash:
        if len(prefix) > 253:
            errors.append("prefix part must be no more than 253 bytes")
        if not _SUBDOMAIN.fullmatch(prefix):
            errors.append(f"prefix part {_PREFIX_RULE}")
    if not name:
        errors.append("name part must be non-empty")
    elif len(name) > 63:
        errors.append("name part must be no more than 63 bytes")
    if not _NAME.fullmatch(name):
        errors.append(f"name part {_NAME_RULE}")
    return errors


def label_value_errors(value: str) -> list[str]:
    """What is wrong with a label's value, in upstream's words."""
    errors = ["must be no more than 63 bytes"] if len(value) > 63 else []
    if value and not _NAME.fullmatch(value):
        errors.append(_VALUE_RULE)
    return errors


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
        number = _integer(value)
        limit = _integer(self.values[0])
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


def _integer(text: str | None) -> int | None:
    if text is None or not re.fullmatch(r"[+-]?[0-9]+", text):
        return None
    number = int(text)
    return number if -(2**63) <= number < 2**63 else None


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """All requirements must hold; none of them means everything. `nothing` selects no object at all."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    @property
    def empty(self) -> bool:
        return not self.requirements and not self.nothing

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        if self.nothing:
            return False
        found = labels or {}
        return all(requirement.matches(found) for requirement in self.requirements)

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


EVERYTHING = LabelSelector()
NOTHING = LabelSelector(nothing=True)

_TOKEN = re.compile(r"\s*(?:([=!(),><]+)|([^=!(),><\s]+)|$)")
_SYMBOLS = (")", ",", "!", "==", "=", "(", "!=", ">", "<")
_OPERATORS = {"=": IN, "==": IN, "!=": NOT_IN, "in": IN, "notin": NOT_IN, ">": GREATER_THAN, "<": LESS_THAN}
_END = ""


def _tokens(text: str) -> list[str]:
    """Symbols, names, and "" for the end. A run of symbols is cut greedily: `==!a` is `==`, `!`, `a`."""
    found: list[str] = []
    position = 0
    while match := _TOKEN.match(text, position):
        symbols, name = match.groups()
        position = match.end()
        if name:
            found.append(name)
        elif symbols:
            token = next(s for s in (symbols[:2], symbols[:1]) if s in _SYMBOLS)
            position = match.start(1) + len(token)
            found.append(token)
        else:
            break
    return [*found, _END]


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._at = 0

    def _peek(self) -> str:
        return self._tokens[self._at]

    def _take(self) -> str:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    @staticmethod
    def _is_name(token: str) -> bool:
        return token != _END and token not in _SYMBOLS

    def parse(self) -> tuple[Requirement, ...]:
        requirements: list[Requirement] = []
        while (token := self._peek()) != _END:
            if not self._is_name(token) and token != "!":
                raise BadRequest(f"found '{token}', expected: !, identifier, or 'end of string'")
            try:
                requirements.append(self._requirement())
            except ValueError as error:
                raise BadRequest(f"unable to parse requirement: {error}") from None
            token = self._take()
            if token == _END:
                break
            if token != ",":
                raise BadRequest(f"found '{token}', expected: ',' or 'end of string'")
            following = self._peek()
            if not self._is_name(following) and following != "!":
                raise BadRequest(f"found '{following}', expected: identifier after ','")
        return tuple(sorted(requirements, key=lambda r: r.key))

    def _requirement(self) -> Requirement:
        token = self._take()
        absent = token == "!"
        if absent:
            token = self._take()
        if not self._is_name(token):
            raise ValueError(f"found '{token}', expected: identifier")
        key = token
        if errors := label_key_errors(key):
            raise ValueError(str(invalid("key", key, "; ".join(errors))))
        if absent:
            return Requirement(key, DOES_NOT_EXIST)
        if self._peek() in (_END, ","):
            return Requirement(key, EXISTS)
        operator = self._take()
        if operator not in _OPERATORS:
            raise ValueError(f"found '{operator}', expected: in, notin, =, ==, !=, gt, lt")
        values = self._values() if operator in ("in", "notin") else {self._exact_value()}
        return _requirement(key, _OPERATORS[operator], values)

    def _exact_value(self) -> str:
        if self._peek() in (_END, ","):
            return ""
        token = self._take()
        if not self._is_name(token):
            raise ValueError(f"found '{token}', expected: identifier")
        return token

    def _values(self) -> set[str]:
        token = self._take()
        if token != "(":
            raise ValueError(f"found '{token}' expected: '('")
        if self._peek() == ")":
            self._take()
            return set()
        if self._peek() != "," and not self._is_name(self._peek()):
            raise ValueError(f"found '{self._peek()}', expected: ',', ')' or identifier")
        values: set[str] = set()
        expect_value = True
        while (token := self._take()) != ")":
            if token == ",":
                if expect_value:
                    values.add("")
                expect_value = True
            elif self._is_name(token):
                values.add(token)
                expect_value = False
                if self._peek() not in (",", ")"):
                    raise ValueError(f"found '{self._peek()}', expected: ',' or ')'")
            else:
                raise ValueError(f"found '{token}', expected: ',', or identifier")
        if expect_value:
            values.add("")
        return values


def _requirement(key: str, operator: str, values: Iterable[str]) -> Requirement:
    """Check the values; raises ValueError in upstream's words."""
    chosen = tuple(sorted(set(values)))
    if operator in (IN, NOT_IN) and not chosen:
        raise ValueError(str(invalid("values", [], "for 'in', 'notin' operators, values set can't be empty")))
    if operator in (GREATER_THAN, LESS_THAN) and _integer(chosen[0]) is None:
        detail = "for 'Gt', 'Lt' operators, the value must be an integer"
        raise ValueError(str(invalid("values[0]", chosen[0], detail)))
    for index, value in enumerate(chosen):
        if errors := label_value_errors(value):
            raise ValueError(str(invalid(f"values[{index}][{key}]", value, "; ".join(errors))))
    return Requirement(key, operator, chosen)


@lru_cache(maxsize=4096)
def parse_label_selector(text: str) -> LabelSelector:
    """`a=b,c!=d,e in (f,g),!h`; raises BadRequest."""
    return LabelSelector(_Parser(text).parse())


def from_label_selector(document: Object | None) -> LabelSelector:
    """A metav1.LabelSelector. None selects nothing, an empty one everything; raises BadRequest."""
    if document is None:
        return NOTHING
    requirements = [
        Requirement(key, IN, (value,)) for key, value in sorted((document.get("matchLabels") or {}).items())
    ]
    for expression in document.get("matchExpressions") or ():
        requirements.append(_expression(expression))
    return LabelSelector(tuple(requirements))


def from_label_set(labels: Mapping[str, str] | None) -> LabelSelector:
    """A plain map, as a Service's or a ReplicationController's selector is."""
    return LabelSelector(tuple(Requirement(key, IN, (value,)) for key, value in sorted((labels or {}).items())))


def _expression(expression: Object) -> Requirement:
    key, operator = expression.get("key", ""), expression.get("operator", "")
    if operator in (EXISTS, DOES_NOT_EXIST):
        return Requirement(key, operator)
    if operator not in (IN, NOT_IN):
        raise BadRequest(f'"{operator}" is not a valid label selector operator')
    try:
        return _requirement(key, operator, expression.get("values") or ())
    except ValueError as error:
        raise BadRequest(str(error)) from None


def node_selector_requirement(expression: Mapping[str, Any]) -> Requirement:
    """A core/v1 NodeSelectorRequirement, which also knows Gt and Lt. Its values are not checked: the API did."""
    return Requirement(expression["key"], expression["operator"], tuple(sorted(set(expression.get("values") or ()))))


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

    @property
    def empty(self) -> bool:
        return not self.requirements

    def matches(self, fields: Mapping[str, str]) -> bool:
        return all((fields.get(r.field, "") == r.value) is r.equal for r in self.requirements)

    def required(self, field: str) -> str | None:
        """The one value that a field must have, if the selector says so (what an index can use)."""
        return next((r.value for r in self.requirements if r.equal and r.field == field), None)

    def check(self, known: Iterable[str]) -> None:
        """Raise BadRequest for a field that this kind cannot be selected by."""
        names = set(known)
        for requirement in self.requirements:
            if requirement.field not in names:
                raise BadRequest(f"field label not supported: {requirement.field}")

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


_TERM = re.compile(r"(?:[^\\,]|\\.)*\\?", re.DOTALL)
_OPERATOR = re.compile(r"(?:[^\\=!]|\\.|!(?!=))*?(!=|==|=)", re.DOTALL)


@lru_cache(maxsize=4096)
def parse_field_selector(text: str) -> FieldSelector:
    r"""`metadata.name=a,spec.nodeName!=b`; `\,` `\=` and `\\` stand for themselves. Raises BadRequest."""
    requirements = []
    position = 0
    while position <= len(text):
        match = _TERM.match(text, position)
        assert match is not None, "the pattern matches the empty string"
        position = match.end() + 1
        if term := match.group():
            requirements.append(_field_requirement(term, text))
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
