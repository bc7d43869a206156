"""`$(NAME)` in commands, arguments and environment values, as the API reference defines it."""

import re
from collections.abc import Mapping

_TOKEN = re.compile(r"\$(?:\$|\(([^()]*)\))")


def expand(text: str, values: Mapping[str, str]) -> str:
    """`$$` is a plain `$`; a reference to an unknown name stays as written."""

    def replace(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return "$"
        return values.get(name, match[0])

    return _TOKEN.sub(replace, text)
