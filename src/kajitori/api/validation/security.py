"""What pods and containers may do on their node: profiles of seccomp and AppArmor, accounts of Windows, host ports."""

import re

from kajitori.api.field_errors import invalid, required, too_long
from kajitori.api.meta import Object
from kajitori.api.schema.internal_shapes import as_shown
from kajitori.api.validation.checks import Errors, each, must, one_of, optional_one_of, relative_path, within
from kajitori.api.validation.formats import subdomain_errors

ID_MAX = 2**31 - 1
_PROFILE_TYPES = ("Localhost", "RuntimeDefault", "Unconfined")
_PROFILE_PATH_BYTES_MAX = 4095
_CREDENTIAL_KIB_MAX = 64
_DOMAIN_CHARACTERS_MAX, _USER_CHARACTERS_MAX = 256, 104
_NET_BIOS = re.compile(r'[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}')
_DOMAIN = re.compile(r"[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?)*")
_NOT_IN_USERS = re.compile(r'["/\\:;|=,+*?<>@\[\]]')
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def container_security(path: str, context: Object | None) -> Errors:
    if context is None:
        return
    yield from within(f"{path}.runAsUser", context.get("runAsUser"), 0, ID_MAX)
    yield from within(f"{path}.runAsGroup", context.get("runAsGroup"), 0, ID_MAX)
    yield from optional_one_of(f"{path}.procMount", context.get("procMount"), ("Default", "Unmasked"))
    yield from seccomp_profile(f"{path}.seccompProfile", context.get("seccompProfile"))
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            yield invalid(path, as_shown("core.SecurityContext", context), detail)
        if "CAP_SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or ()):
            detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            yield invalid(path, as_shown("core.SecurityContext", context), detail)
    yield from windows_options(f"{path}.windowsOptions", context.get("windowsOptions"))
    yield from app_armor_profile(f"{path}.appArmorProfile", context.get("appArmorProfile"))


def seccomp_profile(path: str, profile: Object | None) -> Errors:
    if profile is None:
        return
    kind, local = profile.get("type") or "", profile.get("localhostProfile")
    if kind:
        yield from one_of(f"{path}.type", kind, _PROFILE_TYPES)
    else:
        yield required(f"{path}.type", "type is required when seccompProfile is set")
    if kind == "Localhost":
        if local is None:
            yield required(f"{path}.localhostProfile", "must be set when seccomp type is Localhost")
        else:
            yield from relative_path(f"{path}.localhostProfile", local)
    elif local is not None:
        shown = as_shown("core.SeccompProfile", profile)
        yield invalid(f"{path}.localhostProfile", shown, "can only be set when seccomp type is Localhost")


def app_armor_profile(path: str, profile: Object | None) -> Errors:
    if profile is None:
        return
    kind, local = profile.get("type") or "", profile.get("localhostProfile")
    at = f"{path}.localhostProfile"
    if kind == "Localhost":
        if not (local or "").strip() and (local or "") == (local or "").strip():
            yield required(at, "must be set when AppArmor type is Localhost")
        elif local != (local or "").strip():
            yield invalid(at, local, "must not be padded with whitespace")
        if len(local or "") > _PROFILE_PATH_BYTES_MAX:
            yield too_long(at, local, _PROFILE_PATH_BYTES_MAX)
    elif not kind:
        yield required(f"{path}.type", "type is required when appArmorProfile is set")
    elif kind not in _PROFILE_TYPES:
        yield from one_of(f"{path}.type", kind, _PROFILE_TYPES)
    elif local is not None:
        yield invalid(at, local, "can only be set when AppArmor type is Localhost")


def windows_options(path: str, options: Object | None) -> Errors:
    if options is None:
        return
    name, credential = options.get("gmsaCredentialSpecName"), options.get("gmsaCredentialSpec")
    if name is not None:
        yield from must(f"{path}.gmsaCredentialSpecName", name, subdomain_errors(name))
    if credential == "":
        yield invalid(f"{path}.gmsaCredentialSpec", "", "gmsaCredentialSpec cannot be an empty string")
    elif len(credential or "") > _CREDENTIAL_KIB_MAX * 1024:
        detail = f"gmsaCredentialSpec size must be under {_CREDENTIAL_KIB_MAX} KiB"
        yield invalid(f"{path}.gmsaCredentialSpec", credential, detail)
    account = options.get("runAsUserName")
    if account is not None:
        yield from must(f"{path}.runAsUserName", account, list(_account_problems(account)))


def _account_problems(account: str) -> list[str]:
    """Of `DOMAIN\\user`, or of a user alone."""
    if not account:
        return ["runAsUserName cannot be an empty string"]
    if _CONTROL.search(account):
        return ["runAsUserName cannot contain control characters"]
    if account.count("\\") > 1:
        return ["runAsUserName cannot contain more than one backslash"]
    domain, backslash, user = account.rpartition("\\")
    found = []
    if len(domain) >= _DOMAIN_CHARACTERS_MAX:
        found.append(f"runAsUserName's Domain length must be under {_DOMAIN_CHARACTERS_MAX} characters")
    if backslash and not _NET_BIOS.fullmatch(domain) and not _DOMAIN.fullmatch(domain):
        found.append("runAsUserName's Domain doesn't match the NetBios nor the DNS format")
    if not user:
        found.append("runAsUserName's User cannot be empty")
    elif len(user) > _USER_CHARACTERS_MAX:
        found.append(f"runAsUserName's User length must not be longer than {_USER_CHARACTERS_MAX} characters")
    if user and not user.strip(". "):
        found.append("runAsUserName's User cannot contain only periods or spaces")
    if _NOT_IN_USERS.search(user):
        found.append("runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]")
    return found


def host_network_ports(path: str, spec: Object) -> Errors:
    """On the node's network a container's port is the node's port."""
    for container, at in each(spec, "containers", path):
        for port, port_at in each(container, "ports", at):
            host_port = port.get("hostPort") or 0
            if host_port and host_port != port.get("containerPort"):
                yield invalid(f"{port_at}.hostPort", host_port, "must match `containerPort` when `hostNetwork` is true")
