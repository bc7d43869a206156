"""Options as texts `--name=value`, read by name; a mistake names the option and the remedy."""

from collections.abc import Sequence
from pathlib import Path

from kajitori.apiserver.configuration import BadConfiguration, duration_s


class Flags:
    """The options that were given, by name."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._values: dict[str, list[str]] = {}
        for argument in arguments:
            name, _, value = argument.removeprefix("--").partition("=")
            self._values.setdefault(name, []).append(value)

    def text(self, name: str, default: str = "") -> str:
        return self._values.get(name, [default])[-1]

    def all(self, name: str) -> list[str]:
        return self._values.get(name, [])

    def list(self, name: str) -> tuple[str, ...]:
        return tuple(part.strip() for text in self.all(name) for part in text.split(",") if part.strip())

    def path(self, name: str) -> Path | None:
        text = self.text(name)
        return Path(text) if text else None

    def flag(self, name: str, default: bool) -> bool:
        return self.text(name, "true" if default else "false") == "true"

    def number(self, name: str, default: int) -> int:
        return int(self.text(name, str(default)))

    def seconds(self, name: str, default: float) -> float:
        text = self.text(name)
        if not text:
            return default
        found = duration_s(text)
        if found is None:
            raise BadConfiguration(f"--{name} {text}: must be a duration like 30s or 5m")
        return found

    def one_of(self, name: str, choices: Sequence[str], default: str) -> str:
        text = self.text(name, default)
        if text not in choices:
            raise BadConfiguration(f"--{name} {text}: unknown; choose from {', '.join(choices)}")
        return text

    def only_with(self, name: str, *needed: str) -> None:
        """Raise when `name` is given and none of `needed` is."""
        if self.text(name) and not any(self.text(other) for other in needed):
            raise BadConfiguration(f"--{name}: needs {' or '.join(f'--{other}' for other in needed)} too")

    def not_with(self, name: str, *others: str) -> None:
        for other in others:
            if self.text(name) and self.text(other):
                raise BadConfiguration(f"--{name}: cannot stand beside --{other}; give one of the two")
