"""The rules (`x-kubernetes-validations`) at one place of a schema, compiled. `self` has the place's type."""

from dataclasses import dataclass

from kajitori.api.cel.environment import Environment
from kajitori.api.cel.errors import CompileError, InstantiationError
from kajitori.api.cel.estimates import estimate
from kajitori.api.cel.field_paths import normalized
from kajitori.api.cel.kubernetes import kubernetes_environment
from kajitori.api.cel.program import Program, compile
from kajitori.api.cel.types import BOOL, STRING, Declared, optional_of
from kajitori.api.meta import Object
from kajitori.api.schema.rules import RULES

SELF, OLD_SELF = "self", "oldSelf"
SELF_TYPE = "selfType"


@dataclass(frozen=True, slots=True)
class Rule:
    """`error` and `message_error` are sentences about what could not be compiled; then there is no program."""

    rule: Object
    program: Program | None = None
    error: str = ""
    message: Program | None = None
    message_error: str = ""
    cost_max: int = 0
    message_cost_max: int = 0
    field_path: str = ""

    @property
    def uses_old(self) -> bool:
        return self.program is not None and OLD_SELF in self.program.uses

    @property
    def text(self) -> str:
        """How it is called when it fails: its message, else itself."""
        return (self.rule.get("message") or self.rule.get("rule") or "").strip()


def compile_rules(schema: Object, declared: Declared) -> tuple[Rule, ...]:
    """`declared` is the type of what `schema` describes."""
    given = schema.get(RULES) or ()
    plain = _environment(declared, optional_old=False)
    optional = (
        _environment(declared, optional_old=True) if any(rule.get("optionalOldSelf") for rule in given) else plain
    )
    return tuple(_compile(rule, schema, optional if rule.get("optionalOldSelf") else plain, declared) for rule in given)


def _environment(declared: Declared, *, optional_old: bool) -> Environment:
    old = optional_of(declared.type) if optional_old else declared
    return kubernetes_environment({SELF: declared, OLD_SELF: old})


def _compile(rule: Object, schema: Object, environment: Environment, declared: Declared) -> Rule:
    text = rule.get("rule") or ""
    if not text.strip():
        return Rule(rule)
    try:
        program = compile(text, environment)
    except InstantiationError as error:
        return Rule(rule, error=str(error))
    except CompileError as error:
        return Rule(rule, error=f"compilation failed: {error}")
    if program.type != BOOL:
        return Rule(rule, error="cel expression must evaluate to a bool")
    message, message_error, message_cost = _message(rule.get("messageExpression") or "", environment, declared)
    return Rule(
        rule,
        program,
        message=message,
        message_error=message_error,
        cost_max=estimate(program.tree, declared).most,
        message_cost_max=message_cost,
        field_path=normalized(rule["fieldPath"], schema) or "" if rule.get("fieldPath") else "",
    )


def _message(text: str, environment: Environment, declared: Declared) -> tuple[Program | None, str, int]:
    if not text:
        return None, "", 0
    try:
        program = compile(text, environment)
    except CompileError as error:
        return None, f"messageExpression compilation failed: {error}", 0
    if program.type != STRING:
        return None, "messageExpression must evaluate to a string", 0
    return program, "", estimate(program.tree, declared).most
