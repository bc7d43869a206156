"""Reading the configuration files that an administrator writes: every mistake names the file, the place and the remedy.

Unknown fields are refused, as upstream's strict decoding does: a mistyped `resorces` must not switch off encryption.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kajitori.api.go_durations import duration_ns
from kajitori.api.meta import Object


class BadConfiguration(Exception):
    """One line: the file, the place in it, what is wrong there and what to write instead."""


def read_file(path: Path) -> bytes:
    """Raises BadConfiguration."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadConfiguration(f"{path}: {error.strerror}: give the path of a readable file") from error


def duration_s(text: str) -> float | None:
    """`1h2m3.5s` in seconds; None when it is no duration, or a negative one."""
    try:
        found_ns = duration_ns(text)
    except ValueError:
        return None
    return found_ns / 1e9 if found_ns >= 0 else None


@dataclass(frozen=True, slots=True)
class Section:
    """One mapping of a configuration file, which knows where it stands."""

    file: Path
    place: str
    fields: Mapping[str, Any]

    @staticmethod
    def load(path: Path, kind: str, group: str, versions: Sequence[str]) -> "Section":
        """The document of a file, which must be of this kind. Raises BadConfiguration."""
        from kajitori.apiserver.yaml_documents import YamlError, load_yaml

        try:
            document = load_yaml(read_file(path))
        except (YamlError, UnicodeDecodeError) as error:
            raise BadConfiguration(f"{path}: not YAML: {' '.join(str(error).split())}") from error
        if not isinstance(document, dict):
            raise BadConfiguration(f"{path}: the document is no mapping: begin it with `kind: {kind}`")
        section = Section(path, "", document)
        accepted = [f"{group}/{version}" for version in versions]
        if document.get("kind") != kind:
            raise section.error("kind", f"{document.get('kind')!r}: must be {kind}")
        if document.get("apiVersion") not in accepted:
            raise section.error("apiVersion", f"{document.get('apiVersion')!r}: must be {' or '.join(accepted)}")
        return section

    def error(self, field: str, text: str) -> BadConfiguration:
        return BadConfiguration(f"{self.file}: {self.at(field)}: {text}")

    def at(self, field: str) -> str:
        return f"{self.place}.{field}" if self.place and field else self.place or field

    def only(self, *names: str) -> "Section":
        """Refuse fields of other names."""
        for name in self.fields:
            if name not in names:
                raise self.error(name, f"unknown field; known are {', '.join(names)}")
        return self

    def text(self, name: str, default: str = "", *, required: bool = False, one_of: Sequence[str] = ()) -> str:
        value = self.fields.get(name)
        if value is None or value == "":
            if required:
                raise self.error(name, "required" + (f": one of {', '.join(one_of)}" if one_of else ""))
            return default
        if not isinstance(value, str):
            raise self.error(name, f"{value!r}: must be a string")
        if one_of and value not in one_of:
            raise self.error(name, f"{value!r}: must be one of {', '.join(one_of)}")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        values = self._list(name)
        for value in values:
            if not isinstance(value, str):
                raise self.error(name, f"{value!r}: must be a list of strings")
        return tuple(values)

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.fields.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.error(name, f"{value!r}: must be true or false")
        return value

    def number(self, name: str, default: int) -> int:
        value = self.fields.get(name)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.error(name, f"{value!r}: must be a whole number")
        return value

    def seconds(self, name: str, default: float) -> float:
        value = self.fields.get(name)
        if value is None:
            return default
        found = duration_s(value) if isinstance(value, str) else None
        if found is None:
            raise self.error(name, f"{value!r}: must be a duration like 30s or 5m")
        return found

    def section(self, name: str) -> "Section":
        """A mapping within; empty when it is absent."""
        value = self.fields.get(name)
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise self.error(name, "must be a mapping")
        return Section(self.file, self.at(name), value)

    def has(self, name: str) -> bool:
        return self.fields.get(name) is not None

    def sections(self, name: str) -> Iterator["Section"]:
        """The mappings of a list within."""
        for number, value in enumerate(self._list(name)):
            place = f"{self.at(name)}[{number}]"
            if not isinstance(value, dict):
                raise BadConfiguration(f"{self.file}: {place}: must be a mapping")
            yield Section(self.file, place, value)

    def _list(self, name: str) -> list[Any]:
        value = self.fields.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.error(name, "must be a list")
        return value

    def document(self) -> Object:
        return dict(self.fields)
