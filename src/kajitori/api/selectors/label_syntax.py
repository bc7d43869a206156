"""What a label's key and value may look like, in the words of upstream's validation."""

import re

from kajitori.kit.text_cache import text_cache

_PREFIX_MAX, _NAME_MAX = 253, 63
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
    return [] if _is_label_key(key) else _label_key_errors(key)


@text_cache(entries_max=4096, length_max=_PREFIX_MAX + 1 + _NAME_MAX)
def _is_label_key(key: str) -> bool:
    """The same few keys come again and again."""
    return not _label_key_errors(key)


def _label_key_errors(key: str) -> list[str]:
    prefix, slash, name = key.rpartition("/")
    if slash and "/" in prefix:
        return [
            f"a valid label key {_NAME_RULE} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
        ]
    errors = []
    if slash and not prefix:
        errors.append("prefix part must be non-empty")
    elif slash:
        if len(prefix) > _PREFIX_MAX:
            errors.append("prefix part must be no more than 253 bytes")
        if not _SUBDOMAIN.fullmatch(prefix):
            errors.append(f"prefix part {_PREFIX_RULE}")
    if not name:
        errors.append("name part must be non-empty")
    elif len(name) > _NAME_MAX:
        errors.append("name part must be no more than 63 bytes")
    if not _NAME.fullmatch(name):
        errors.append(f"name part {_NAME_RULE}")
    return errors


def label_value_errors(value: str) -> list[str]:
    """What is wrong with a label's value, in upstream's words."""
    errors = ["must be no more than 63 bytes"] if len(value) > _NAME_MAX else []
    if value and not _NAME.fullmatch(value):
        errors.append(_VALUE_RULE)
    return errors
