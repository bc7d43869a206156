"""CEL in configuration files: compiled once; the language is imported only by who has expressions."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def compiled(text: str, variables: Sequence[str]) -> Callable[[Mapping[str, Any]], Any]:
    """What evaluates an expression over JSON values. Raises ValueError, and so does what it returns."""
    from kajitori.api.cel.errors import CelError
    from kajitori.api.cel.kubernetes import kubernetes_environment
    from kajitori.api.cel.program import compile
    from kajitori.api.cel.types import DYN

    try:
        program = compile(text, kubernetes_environment(dict.fromkeys(variables, DYN)))
    except CelError as error:
        # One line of a file's error: where and why, without the picture of the place.
        raise ValueError(str(error).splitlines()[0].removeprefix("ERROR: <input>:")) from error

    def evaluate(values: Mapping[str, Any]) -> Any:
        try:
            return program.evaluate(values)
        except CelError as error:
            raise ValueError(str(error)) from error

    return evaluate
