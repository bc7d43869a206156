"""What goes wrong with an expression: when it is compiled, and when it is evaluated.

CelError
├── CompileError       the expression is no expression of its environment; `issues` say where and why
│   └── InstantiationError    it is one, but cannot be evaluated: a literal pattern that is none
└── EvaluationError    no such key, division by zero, no such overload ...
    └── CostExceeded   the evaluation was ended, because it went beyond its limit
"""

from dataclasses import dataclass

_SNIPPET_MAX = 16384
_ISSUES_MAX = 100


class CelError(Exception):
    """Anything about an expression."""


@dataclass(frozen=True, slots=True)
class Issue:
    """One mistake at a place: `line` from 1, `column` from 0 in characters."""

    line: int
    column: int
    message: str

    def shown(self, lines: list[str]) -> str:
        text = f"ERROR: <input>:{self.line}:{self.column + 1}: {self.message}"
        if not 1 <= self.line <= len(lines) or len(lines[self.line - 1]) > _SNIPPET_MAX:
            return text
        snippet = lines[self.line - 1].replace("\t", " ")
        dots = "".join("\uff0e" if ord(each) > 127 else "." for each in snippet[: self.column])
        at = snippet[self.column : self.column + 1]
        mark = "\uff3e" if at and ord(at) > 127 else "^"
        return f"{text}\n | {snippet}\n | {dots}{mark}"


class CompileError(CelError):
    """The text is shown as the users of CEL know it: place, message, the line and a mark under it."""

    def __init__(self, source: str, issues: list[Issue]) -> None:
        self.issues = sorted(issues, key=lambda issue: (issue.line, issue.column))
        lines = source.split("\n") if source else []
        shown = [issue.shown(lines) for issue in self.issues[:_ISSUES_MAX]]
        if len(issues) > _ISSUES_MAX:
            shown.append(f"{len(issues) - _ISSUES_MAX} more errors were truncated")
        super().__init__("\n".join(shown))


class InstantiationError(CompileError):
    def __init__(self, source: str, reason: str) -> None:
        super().__init__(source, [])
        self.args = (f"program instantiation failed: {reason}",)


class EvaluationError(CelError):
    """Has the sentence that upstream gives for the same failure."""


class CostExceeded(EvaluationError):
    def __init__(self) -> None:
        super().__init__("operation cancelled: actual cost limit exceeded")


class Unfinished(Exception):
    """The caller's patience is over, not what the expression may cost: to be evaluated again where nobody waits."""


PATIENCE = 400_000
"""What may be spent on the event loop: about a tenth of a second, and one question to an authorizer."""

NO_OVERLOAD = "no such overload"


def no_overload() -> EvaluationError:
    return EvaluationError(NO_OVERLOAD)
