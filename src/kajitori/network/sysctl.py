"""Kernel settings of the current network namespace that a node needs."""

from collections.abc import Callable, Mapping
from pathlib import Path

from kajitori.network.command import run
from kajitori.network.errors import CommandFailed, CommandMissing, NetworkError

_ROOT = Path("/proc/sys")

WANTED: Mapping[str, str] = {
    "net/ipv4/ip_forward": "1",
    # A NodePort answers on 127.0.0.1 too; the proxy's own rules keep neighbours away from loopback.
    "net/ipv4/conf/all/route_localnet": "1",
}
_STRICT_REVERSE_PATH = "1"
_LOOSE_REVERSE_PATH = "2"


def plan_sysctls(read: Callable[[str], str | None]) -> dict[str, str]:
    """Settings to write, given what is set now (None: no such setting)."""
    changes = {name: value for name, value in WANTED.items() if read(name) != value}
    # Strict reverse path filtering drops answers of masqueraded traffic; the larger of `all` and a link's own counts.
    paths = ("net/ipv4/conf/all/rp_filter", "net/ipv4/conf/default/rp_filter")
    if any(read(path) == _STRICT_REVERSE_PATH for path in paths):
        changes["net/ipv4/conf/all/rp_filter"] = _LOOSE_REVERSE_PATH
    return changes


def _read(name: str) -> str | None:
    try:
        return (_ROOT / name).read_text().strip()
    except OSError:
        return None


async def apply_sysctls() -> None:
    """Set what is missing in this process's network namespace, and load the bridge's netfilter hook."""
    for name, value in plan_sysctls(_read).items():
        try:
            (_ROOT / name).write_text(value)
        except OSError as error:
            dotted = name.replace("/", ".")
            raise NetworkError(
                f"cannot set {dotted}={value}: {error.strerror}; run as root: sysctl -w {dotted}={value}"
            ) from None
    if not (_ROOT / "net/bridge").is_dir():
        try:
            await run("modprobe", "br_netfilter")
        except (CommandFailed, CommandMissing) as error:
            raise NetworkError(
                f"the kernel module br_netfilter is missing, so a Service could not reach pods of the same node:"
                f" {error}"
            ) from None
