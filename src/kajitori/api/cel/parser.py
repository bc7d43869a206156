"""From the tokens of an expression to its tree. Source: the grammar in the language definition of CEL.

Operators are parsed by precedence. Chains of && and of || become balanced trees, so that a long one is not deep.
"""

from typing import NoReturn

from kajitori.api.cel.ast import Call, Entry, FieldInit, Ident, ListOf, Literal, MapOf, Node, Select, Struct
from kajitori.api.cel.errors import CompileError, Issue
from kajitori.api.cel.macros import MacroError, expand
from kajitori.api.cel.tokens import END, Token, bytes_of, issue, text_of, tokenize
from kajitori.api.cel.types import RESERVED
from kajitori.api.cel.values import UInt

SIZE_MAX = 100_000
DEPTH_MAX = 250
_PRECEDENCE = {
    "||": 1, "&&": 2,
    "<": 3, "<=": 3, ">=": 3, ">": 3, "==": 3, "!=": 3, "in": 3,
    "+": 4, "-": 4, "*": 5, "/": 5, "%": 5,
}  # fmt: skip
_RELATION = 3
_FUNCTIONS = {mark: "@in" if mark == "in" else f"_{mark}_" for mark in _PRECEDENCE}
_PREFIX = {"!": "!_", "-": "-_"}
_EXPRESSION = (
    "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"
)
_CONSTANTS = {"true": True, "false": False, "null": None}
_INT64 = 2**63


def parse(source: str, *, binding: bool = False) -> Node:
    """The tree; raises CompileError with every mistake found. `binding`: it may use `cel.bind`."""
    if len(source) > SIZE_MAX:
        message = f"expression code point size exceeds limit: size: {len(source)}, limit {SIZE_MAX}"
        raise CompileError(source, [Issue(0, -1, message)])
    return _Parser(source, binding).parse()


class _Stop(Exception):
    """A mistake after which nothing sensible can be read."""


class _Parser:
    def __init__(self, source: str, binding: bool) -> None:
        self._source = source
        self._binding = binding
        self._issues: list[Issue] = []
        self._tokens = tokenize(source, self._note)
        self._next = 0
        self._depth = 0

    def parse(self) -> Node:
        tree: Node | None = None
        try:
            tree = self._expression(0)
            self._require_end()
        except _Stop:
            pass
        except RecursionError:
            self._too_deep_note()
        if self._issues or tree is None:
            raise CompileError(self._source, self._issues)
        return tree

    # Tokens

    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._tokens[self._next]
        if token.kind != END:
            self._next += 1
        return token

    def _skip(self, kind: str) -> bool:
        if self._tokens[self._next].kind == kind:
            self._next += 1
            return True
        return False

    def _expect(self, kind: str) -> Token:
        token = self._peek()
        if token.kind == kind:
            self._next += 1
            return token
        named = kind if kind.isupper() else f"'{kind}'"
        if token.kind == END and kind in (")", "]", "}"):
            self._fail(token.at, f"Syntax error: missing {named} at '{END}'")
        self._fail(token.at, f"Syntax error: mismatched input '{token.text}' expecting {named}")

    def _require_end(self) -> None:
        token = self._peek()
        if token.kind != END:
            alone = self._tokens[self._next + 1].kind == END
            word = "extraneous" if alone else "mismatched"
            self._note(token.at, f"Syntax error: {word} input '{token.text}' expecting {END}")

    def _note(self, at: int, message: str) -> None:
        self._issues.append(issue(self._source, at, message))

    def _fail(self, at: int, message: str) -> NoReturn:
        self._note(at, message)
        raise _Stop

    def _too_deep_note(self) -> None:
        self._issues.append(Issue(-1, 0, f"expression recursion limit exceeded: {DEPTH_MAX}"))

    def _deeper(self, chain: int = 0) -> None:
        if self._depth + chain > DEPTH_MAX:
            self._too_deep_note()
            raise _Stop

    # Operators

    def _expression(self, least: int) -> Node:
        """Everything that binds at least as tightly as `least`; 0 takes the conditional too."""
        self._depth += 1
        self._deeper()
        left = self._unary()
        chain = 0
        while True:
            mark = self._peek().kind
            precedence = _PRECEDENCE.get(mark, 0)
            if not precedence or precedence < least:
                break
            if precedence < _RELATION:
                left = self._logical(left, mark, precedence)
                continue
            at = self._take().at
            left = Call(at, _FUNCTIONS[mark], None, [left, self._expression(precedence + 1)])
            chain += 1
            self._deeper(chain)
        if least == 0 and self._peek().kind == "?":
            at = self._take().at
            # Neither branch may be a bare conditional before the colon: upstream's grammar has `or` there.
            chosen = self._expression(1)
            self._expect(":")
            left = Call(at, "_?_:_", None, [left, chosen, self._expression(0)])
        self._depth -= 1
        return left

    def _logical(self, first: Node, mark: str, precedence: int) -> Node:
        terms, places = [first], []
        while self._peek().kind == mark:
            places.append(self._take().at)
            terms.append(self._expression(precedence + 1))
        return _balanced(_FUNCTIONS[mark], terms, places, 0, len(places) - 1)

    def _unary(self) -> Node:
        mark = self._peek().kind
        if mark not in _PREFIX:
            return self._member()
        at = self._peek().at
        if mark == "-" and self._tokens[self._next + 1].kind in ("NUM_INT", "NUM_FLOAT"):
            return self._member()
        count = 0
        while self._skip(mark):
            count += 1
        operand = self._member()
        return Call(at, _PREFIX[mark], None, [operand]) if count % 2 else operand

    # Members and primaries

    def _member(self) -> Node:
        node = self._primary()
        chain = 0
        while True:
            token = self._peek()
            if token.kind == ".":
                node = self._selected(node)
            elif token.kind == "[":
                self._next += 1
                function = "_[?_]" if self._skip("?") else "_[_]"
                index = self._expression(0)
                self._expect("]")
                node = Call(token.at, function, None, [node, index])
            else:
                return node
            chain += 1
            self._deeper(chain)

    def _selected(self, operand: Node) -> Node:
        dot = self._take()
        optional = self._skip("?")
        name = self._take()
        if name.kind not in ("IDENTIFIER", "ESC_IDENTIFIER"):
            self._fail(name.at, self._unselectable(dot, name, optional))
        self._plain(name)
        opened = self._peek()
        if opened.kind == "(" and not optional and name.kind == "IDENTIFIER":
            self._next += 1
            args = self._list(")")
            return self._expanded(Call(opened.at, name.text, operand, args))
        return Select(dot.at, operand, name.text, optional=optional)

    def _unselectable(self, dot: Token, name: Token, optional: bool) -> str:
        if optional:
            return f"Syntax error: mismatched input '{name.text}' expecting {{IDENTIFIER, ESC_IDENTIFIER}}"
        read = self._source[dot.at : name.at + len(name.text)] if name.kind != END else "."
        return f"Syntax error: no viable alternative at input '{read}'"

    def _plain(self, name: Token) -> None:
        """Upstream's parser knows quoted names, but leaves them switched off."""
        if name.kind == "ESC_IDENTIFIER":
            self._note(name.at, "unsupported syntax: '`'")

    def _expanded(self, call: Call) -> Node:
        try:
            return expand(call, binding=self._binding)
        except MacroError as error:
            self._note(error.at, str(error))
            return call

    def _list(self, end: str) -> list[Node]:
        if self._skip(end):
            return []
        found = [self._expression(0)]
        while self._skip(","):
            found.append(self._expression(0))
        self._expect(end)
        return found

    def _primary(self) -> Node:
        token = self._take()
        match token.kind:
            case "IDENTIFIER":
                return self._named(token, "")
            case ".":
                return self._named(self._expect("IDENTIFIER"), ".")
            case "(":
                inner = self._expression(0)
                self._expect(")")
                return inner
            case "[":
                return self._list_literal(token.at)
            case "{":
                return self._map_literal(token.at)
            case "-":
                return self._number(self._take(), token.at, "-")
            case "NUM_INT" | "NUM_UINT" | "NUM_FLOAT":
                return self._number(token, token.at, "")
            case "STRING" | "BYTES":
                return self._text(token)
            case "true" | "false" | "null":
                return Literal(token.at, _CONSTANTS[token.kind])
        self._fail(token.at, f"Syntax error: mismatched input '{token.text}' expecting {_EXPRESSION}")

    def _named(self, token: Token, dot: str) -> Node:
        if token.text in RESERVED:
            self._note(token.at, f"reserved identifier: {token.text}")
        name = dot + token.text
        opened = self._peek()
        if opened.kind == "(":
            self._next += 1
            return self._expanded(Call(opened.at, name, None, self._list(")")))
        if (struct := self._struct_name()) is not None:
            name += struct
            return self._struct(self._expect("{").at, name)
        return Ident(token.at, name)

    def _struct_name(self) -> str | None:
        """What follows an identifier up to an opening brace (`.B.C` of `A.B.C{`), taken; None when no brace comes."""
        ahead, words = self._next, ""
        while self._tokens[ahead].kind == "." and self._tokens[ahead + 1].kind == "IDENTIFIER":
            words += "." + self._tokens[ahead + 1].text
            ahead += 2
        if self._tokens[ahead].kind != "{":
            return None
        self._next = ahead
        return words

    def _list_literal(self, at: int) -> Node:
        elements: list[Node] = []
        optional: set[int] = set()
        while not self._skip("]"):
            if self._skip("?"):
                optional.add(len(elements))
            elements.append(self._expression(0))
            if not self._skip(","):
                self._expect("]")
                break
        return ListOf(at, elements, frozenset(optional))

    def _map_literal(self, at: int) -> Node:
        entries: list[Entry] = []
        while not self._skip("}"):
            optional = self._skip("?")
            key = self._expression(0)
            colon = self._expect(":").at
            entries.append(Entry(colon, key, self._expression(0), optional))
            if not self._skip(","):
                self._expect("}")
                break
        return MapOf(at, entries)

    def _struct(self, at: int, name: str) -> Node:
        fields: list[FieldInit] = []
        while not self._skip("}"):
            optional = self._skip("?")
            token = self._take()
            if token.kind not in ("IDENTIFIER", "ESC_IDENTIFIER"):
                self._fail(
                    token.at,
                    f"Syntax error: mismatched input '{token.text}' expecting {{'}}', ',', '?', IDENTIFIER, "
                    "ESC_IDENTIFIER}",
                )
            self._plain(token)
            colon = self._expect(":").at
            fields.append(FieldInit(colon, token.text, self._expression(0), optional))
            if not self._skip(","):
                self._expect("}")
                break
        return Struct(at, name, fields)

    # Literals

    def _number(self, token: Token, at: int, sign: str) -> Node:
        if token.kind == "NUM_FLOAT":
            value = float(sign + token.text)
            if value in (float("inf"), float("-inf")):
                self._note(at, "invalid double literal")
            return Literal(at, value)
        digits = token.text.rstrip("uU")
        base = 16 if digits.startswith("0x") else 10
        # Far more digits than fit are not even converted.
        whole = _INT64 * 4 if len(digits) > 4000 else int(digits, base)
        if token.kind == "NUM_UINT":
            if whole >= _INT64 * 2:
                self._note(at, "invalid uint literal")
            return Literal(at, UInt(whole))
        value_int = -whole if sign else whole
        if not -_INT64 <= value_int < _INT64:
            self._note(at, "invalid int literal")
        return Literal(at, value_int)

    def _text(self, token: Token) -> Node:
        try:
            return Literal(token.at, text_of(token.text) if token.kind == "STRING" else bytes_of(token.text))
        except ValueError as error:
            self._note(token.at, f"{error}")
            return Literal(token.at, "")


def _balanced(function: str, terms: list[Node], places: list[int], low: int, high: int) -> Node:
    middle = (low + high + 1) // 2
    left = terms[middle] if middle == low else _balanced(function, terms, places, low, middle - 1)
    right = terms[middle + 1] if middle == high else _balanced(function, terms, places, middle + 1, high)
    return Call(places[middle], function, None, [left, right])
