"""What an image is made of, as its TOML file says.

name = "notes:1"                      # repository and tag
packages = ["nodejs", "node-pg"]      # of Debian, with what they depend on
[files]                               # from beside the definition -> to an absolute path
"app/" = "/app"
[config]
user = "1000:1000"                    # also: workdir, entrypoint, command, env (a table), ports
entrypoint = ["node", "/app/server.js"]
"""

import hashlib
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kajitori.cli.interface import CommandError

_LISTS = ("entrypoint", "command", "ports")
_KEYS: dict[str, type] = {"name": str, "packages": list, "suite": str, "files": dict, "config": dict, "run": list}
_CONFIG_KEYS: dict[str, type] = {
    **dict.fromkeys(("user", "workdir", "stop_signal"), str),
    **dict.fromkeys(_LISTS, list),
    "env": dict,
}
_IN_TOML: dict[type, str] = {str: 'text ("...")', list: 'a list (["...", "..."])', dict: "a table"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDefinition:
    """A definition, read and checked. `files` maps sources on this host to paths in the image."""

    name: str
    suite: str = "bookworm"
    packages: tuple[str, ...] = ()
    run: tuple[str, ...] = ()
    """Shell commands run inside the tree of packages, before the files are copied."""
    files: tuple[tuple[Path, str], ...] = ()
    user: str = ""
    workdir: str = ""
    stop_signal: str = ""
    """What ends the main process gracefully, if not SIGTERM."""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()

    @property
    def packages_digest(self) -> str:
        """Names the layer of packages: the same for every image with the same ones."""
        return _digest(self.suite, *sorted(self.packages), *self.run)

    @property
    def digest(self) -> str:
        """Names the whole image, file contents included."""
        contents = (part for source, target in self.files for part in _contents(source, target))
        return _digest(self.packages_digest, repr(self.config()), self.name, *contents)

    def config(self) -> dict[str, Any]:
        """The OCI image configuration's `config`."""
        config: dict[str, Any] = {"Env": [f"{name}={value}" for name, value in self.env]}
        for key, value in (
            ("User", self.user),
            ("WorkingDir", self.workdir),
            ("StopSignal", self.stop_signal),
            ("Entrypoint", list(self.entrypoint)),
            ("Cmd", list(self.command)),
            ("ExposedPorts", {f"{port}/tcp": {} for port in self.ports}),
        ):
            if value:
                config[key] = value
        return config


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _contents(source: Path, target: str) -> Iterator[str]:
    yield target
    for path in [source] if source.is_file() else sorted(source.rglob("*")):
        yield str(path.relative_to(source.parent))
        yield str(path.stat().st_mode)
        if path.is_file():
            yield hashlib.sha256(path.read_bytes()).hexdigest()


def read_definition(path: Path) -> ImageDefinition:
    """Raises CommandError naming the file and the key."""
    try:
        document = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from error
    _check(path, document, _KEYS)
    config = document.get("config", {})
    _check(path, config, _CONFIG_KEYS, " of [config]")
    if not document.get("name"):
        raise CommandError(f'{path}: `name` is missing: write name = "repository:tag"')
    files = tuple((path.parent / source, target) for source, target in document.get("files", {}).items())
    for source, target in files:
        if not source.exists():
            raise CommandError(f"{path}: {source} does not exist: correct the name below [files]")
        if not target.startswith("/"):
            raise CommandError(f"{path}: the target `{target}` of {source.name} must begin with /")
    return ImageDefinition(
        name=document["name"],
        suite=document.get("suite", "bookworm"),
        packages=tuple(document.get("packages", ())),
        run=tuple(document.get("run", ())),
        files=files,
        user=config.get("user", ""),
        workdir=config.get("workdir", ""),
        stop_signal=config.get("stop_signal", ""),
        env=tuple((config.get("env") or {}).items()),
        **{key: tuple(str(item) for item in config.get(key, ())) for key in _LISTS},
    )


def _check(path: Path, table: dict[str, Any], keys: dict[str, type], where: str = "") -> None:
    for key, value in table.items():
        if key not in keys:
            raise CommandError(f"{path}: unknown key `{key}`{where}: known are {', '.join(sorted(keys))}")
        if not isinstance(value, keys[key]):
            raise CommandError(f"{path}: `{key}`{where} is {value!r}, but has to be {_IN_TOML[keys[key]]}")
