"""The kernel parameters of a pod: names as sysctl.d(5) writes them, none of a namespace that the host shares."""

import re

from kajitori.api.field_errors import duplicate, invalid, required
from kajitori.api.meta import Object
from kajitori.api.validation.checks import Errors, each

_NAME_CHARACTERS_MAX = 253
_SEGMENT = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_NAME = rf"^({_SEGMENT}[\./])*{_SEGMENT}$"
_MAY_BE_NAME = re.compile(_NAME)
# ipc_namespaces(7), network_namespaces(7).
_IPC = frozenset(
    f"kernel.{name}" for name in ("sem", "shm", "shmall", "shmmax", "shmmni", "shm_rmid_forced", "msg", "msgmax")
) | {"kernel.msgmnb", "kernel.msgmni"}
_SWAPPED = str.maketrans("./", "/.")


def sysctls(path: str, spec: Object) -> Errors:
    seen: set[str] = set()
    for sysctl, at in each(spec.get("securityContext") or {}, "sysctls", path):
        name = sysctl.get("name") or ""
        if not name:
            yield required(f"{at}.name")
        elif len(name) > _NAME_CHARACTERS_MAX or not _MAY_BE_NAME.fullmatch(name):
            yield invalid(
                f"{at}.name", name, f"must have at most {_NAME_CHARACTERS_MAX} characters and match regex {_NAME}"
            )
        elif name in seen:
            yield duplicate(f"{at}.name", name)
        seen.add(name)
        if spec.get(shared := _shared_by(name)):
            yield invalid(f"{at}.name", name, f"may not be specified when '{shared}' is true")


def _shared_by(name: str) -> str:
    """The field that gives a pod the host's own namespace in place of the one this parameter belongs to."""
    separators = name.lstrip("abcdefghijklmnopqrstuvwxyz0123456789-_")
    dotted = name.translate(_SWAPPED) if separators.startswith("/") else name
    dotted = dotted.partition("*")[0]
    if dotted.startswith("net."):
        return "hostNetwork"
    return "hostIPC" if dotted in _IPC or dotted.startswith("fs.mqueue.") else ""
