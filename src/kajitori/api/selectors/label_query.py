"""The query language of lists and watches: `a=b,c!=d,e in (f,g),!h`.

Grammar and messages are those of upstream's `labels` package: kubectl shows them as they are.
"""

import re

from kajitori.api.errors import BadRequest
from kajitori.api.field_errors import invalid
from kajitori.api.selectors.label_syntax import label_key_errors
from kajitori.api.selectors.requirements import (
    DOES_NOT_EXIST,
    EXISTS,
    GREATER_THAN,
    IN,
    LESS_THAN,
    NOT_IN,
    LabelSelector,
    Requirement,
    checked,
)
from kajitori.kit.text_cache import text_cache

_TOKEN = re.compile(r"\s*(?:([=!(),><]{1,2})|([^=!(),><\s]+)|$)")
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
            raise ValueError(str(invalid("<nil>", key, "; ".join(errors))))
        if absent:
            return Requirement(key, DOES_NOT_EXIST)
        if self._peek() in (_END, ","):
            return Requirement(key, EXISTS)
        operator = self._take()
        if operator not in _OPERATORS:
            raise ValueError(f"found '{operator}', expected: in, notin, =, ==, !=, gt, lt")
        values = self._values() if operator in ("in", "notin") else {self._exact_value()}
        # The set may be empty here: nothing is in it, and everything is not.
        return checked(key, _OPERATORS[operator], values) if values else Requirement(key, _OPERATORS[operator])

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


@text_cache(entries_max=4096, length_max=1024)
def parse_label_selector(text: str) -> LabelSelector:
    """`a=b,c!=d,e in (f,g),!h`; raises BadRequest."""
    return LabelSelector(_Parser(text).parse())
