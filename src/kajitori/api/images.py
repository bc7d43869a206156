"""The parts of a container image's name: `registry:5000/repository:tag@digest`."""

import re
from typing import NamedTuple

_DOMAIN = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::[0-9]+)?"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME_CHARACTERS_MAX = 255
_REFERENCE = re.compile(
    rf"(?P<name>(?:(?:{_DOMAIN}|\[[a-fA-F0-9:]+\](?::[0-9]+)?)/)?{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>[\w][\w.-]{0,127}))?"
    r"(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}))?",
    re.ASCII,
)

_IDENTIFIER = re.compile("[a-f0-9]{64}")
"""Of an image itself; nobody may be called like that."""


class ImageName(NamedTuple):
    """`tag` and `digest` are "" when not given."""

    repository: str
    tag: str
    digest: str


def parse_image(name: str) -> ImageName | None:
    """None for what is not the name of an image."""
    match = _REFERENCE.fullmatch(name)
    if match is None or _IDENTIFIER.fullmatch(name) or len(_full_name(match["name"])) > _NAME_CHARACTERS_MAX:
        return None
    return ImageName(match["name"], match["tag"] or "", match["digest"] or "")


def _full_name(name: str) -> str:
    """With the registry and the repository that a short name leaves out."""
    first, slash, _ = name.partition("/")
    if slash and (first == "localhost" or any(mark in first for mark in ".:[") or first != first.lower()):
        return name
    return f"docker.io/{name}" if slash else f"docker.io/library/{name}"


def default_pull_policy(name: str) -> str:
    """Always for a moving name (`latest`, or no tag at all), IfNotPresent for a fixed one."""
    image = parse_image(name)
    if image is None:
        return "IfNotPresent"
    moving = image.tag == "latest" or not (image.tag or image.digest)
    return "Always" if moving else "IfNotPresent"
