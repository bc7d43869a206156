"""What the commands ask of the composition root, which stands above them: the options of a command in, an exit out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class CommandError(Exception):
    """Something the user can act on: one line that says what, why, and what to do. Ends with exit code 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """`kajitori up`. `store` is sqlite, memory or an etcd URL; `disable` names parts of DISABLEABLE."""

    data_dir: Path
    port: int = 6443
    nodes: int = 1
    simulated_nodes: int = 0
    store: str = "sqlite"
    disable: frozenset[str] = frozenset()
    detach: bool = False
    wait: bool = False
    http_port: int = 80
    https_port: int = 443
    scheduler_config: str | None = None
    """A file's absolute path; "" for upstream's defaults, None for what the cluster remembers."""
    apiserver: tuple[str, ...] = ()
    """Options of `apiserver_options.OPTIONS` as texts `--name=value`, beside those that the cluster remembers."""


DISABLEABLE = ("scheduler", "controllers", "dns", "ingress", "proxy")
"""What `up --disable` can leave out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartOptions:
    """One part run alone. A part that `up` started has its `data_dir`; elsewhere `kubeconfig` says where the API is."""

    data_dir: Path
    kubeconfig: Path | None = None
    node: str = ""
    disable: frozenset[str] = frozenset()
    scheduler_config: Path | None = None
    """Of the scheduler, alone or beside the controllers."""
    leader_elect: bool | None = None
    """Of controllers and scheduler; None: where others could do the same work."""
    apiserver: tuple[str, ...] = ()
    """As in `UpOptions`; only the API server has them."""


class Application(Protocol):
    """Every method may raise CommandError."""

    def up(self, options: UpOptions) -> None: ...

    def run_part(self, part: str, options: PartOptions) -> None: ...

    def down(self, data_dir: Path, purge: bool) -> None: ...

    def status(self, data_dir: Path, output: str) -> int:
        """Prints the state; the exit code is 0 when all of it is healthy."""

    def doctor(self, data_dir: Path) -> int: ...

    def kubectl(self, data_dir: Path, arguments: Sequence[str]) -> None:
        """Replaces this process."""

    def image_build(self, definition: Path, output: Path | None) -> Path: ...

    def image_load(self, data_dir: Path, archives: Sequence[Path]) -> None: ...
