"""subPath and subPathExpr: a path inside a volume, which must not lead out of it."""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

_REFERENCE = re.compile(r"\$\(([^()]*)\)")


class WrongSubPath(Exception):
    """The message is the one that the container waits with."""


def sub_path_of(mount: Mapping[str, object], environment: Mapping[str, str]) -> str:
    """The relative path, with the container's variables put in; raises WrongSubPath for an unknown one."""
    expression = str(mount.get("subPathExpr") or "")
    if not expression:
        return str(mount.get("subPath") or "")

    def value(match: re.Match[str]) -> str:
        if match[1] not in environment:
            raise WrongSubPath(f"missing value for {match[1]!r}".replace("'", '"'))
        return environment[match[1]]

    path = _REFERENCE.sub(value, expression)
    if Path(path).is_absolute():
        raise WrongSubPath(f"error SubPath `{path}` must not be an absolute path")
    if ".." in Path(path).parts:
        raise WrongSubPath(f"unable to create subPath `{path}`: must not contain '..'")
    return path


def resolve_sub_path(volume: Path, relative: str, *, make: bool = True) -> Path:
    """The real path, made as directories where nothing is yet (if `make`); links that lead out are refused.

    Who may write to the volume may write to what is made: it has the volume's mode,
    the set-group-ID bit (fsGroup) included.
    """
    root = volume.resolve()
    path = (root / relative).resolve()
    if not path.is_relative_to(root):
        raise WrongSubPath(f"subpath {relative!r} leads outside of its volume")
    if not path.exists() and not make:
        raise WrongSubPath(f"subpath {relative!r} is not in the volume")
    mode = stat.S_IMODE(root.stat().st_mode)
    missing = [place for place in (path, *path.parents) if place.is_relative_to(root) and not place.exists()]
    for place in reversed(missing):
        place.mkdir()
        # Not `chmod`: a container that shares the volume may have put a link in its place meanwhile.
        directory = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fchmod(directory, mode)
        finally:
            os.close(directory)
    return path
