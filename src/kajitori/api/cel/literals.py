"""Literal arguments that can only fail: patterns, durations and points in time are looked at when compiled."""

from kajitori.api.cel.ast import Call, Literal
from kajitori.api.cel.errors import EvaluationError
from kajitori.api.cel.regexes import compiled
from kajitori.api.cel.times import parse_duration, parse_timestamp, timestamp

_PARSERS = {"duration": parse_duration, "timestamp": parse_timestamp}


def wrong_literal(node: Call) -> tuple[int, str] | None:
    """Offset and message of an argument that is a literal and will not do."""
    if node.function == "matches":
        argument = node.args[-1] if node.args else None
    elif node.function in _PARSERS and len(node.args) == 1:
        argument = node.args[0]
    else:
        return None
    if not isinstance(argument, Literal):
        return None
    value = argument.value
    try:
        if type(value) is int and node.function == "timestamp":
            timestamp(value * 10**9)
        elif not isinstance(value, str):
            return None
        elif node.function == "matches":
            compiled(value)
        else:
            _PARSERS[node.function](value)
    except (ValueError, EvaluationError):
        return argument.at, f"invalid {node.function} argument"
    return None
