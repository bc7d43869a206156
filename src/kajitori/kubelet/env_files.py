"""Variables that an init container left in a file of an emptyDir (KEP-3721): `NAME='value'`, a subset of the shell's.

A value stands in single quotes, literally, over several lines if need be; a comment may follow. Blank lines and lines
that begin with `#` say nothing. White space before `=` is wrong; after it, the value is empty, as a shell reads it.
"""

FILE_BYTES_MAX = 1024 * 1024
"""Longer files are not read to their end."""


class WrongEnvFile(ValueError):
    """The message says where."""


def value_in(text: str, key: str) -> str:
    """The value of `key`; "" when it has none. What follows it is not looked at. Raises WrongEnvFile."""
    lines = iter(enumerate(text.split("\n"), 1))
    for number, line in lines:
        line = line.lstrip(" \t").removesuffix("\r")
        if not line or line.startswith("#"):
            continue
        name, equals, rest = line.partition("=")
        if not equals or not name or name != name.rstrip(" \t"):
            raise WrongEnvFile(f"line {number}: not of the form NAME='value'")
        value = ""
        if rest == rest.lstrip(" \t"):
            if not rest.startswith("'"):
                raise WrongEnvFile(f"line {number}: the value must be enclosed in single quotes")
            value, closed, after = rest[1:].partition("'")
            while not closed:
                following = next(lines, None)
                if following is None:
                    raise WrongEnvFile(f"line {number}: the quote is not closed")
                more, closed, after = following[1].partition("'")
                value += f"\n{more}"
            after = after.strip(" \t\r")
            if after and not after.startswith("#"):
                raise WrongEnvFile(f"line {number}: something follows the closing quote")
        if name == key:
            return value
    return ""
