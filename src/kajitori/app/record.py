"""What `up` was asked for, kept in the data directory: read by every process of the cluster and by later commands."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from kajitori.app.layout import Layout
from kajitori.cli.interface import CommandError
from kajitori.kit.files import replace_file

FORMAT = 1
"""Grows when a data directory written by one version can no longer be read by the one before."""

NODE_NETWORK = "10.89.0."


class BrokenRecord(CommandError):
    """The record is there and says nothing that can be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRecord:
    """The cluster as configured. Nodes are named node-1 to node-N; node-1 is the host itself."""

    port: int = 6443
    nodes: int = 1
    simulated_nodes: int = 0
    store: str = "sqlite"
    disable: tuple[str, ...] = ()
    http_port: int = 80
    https_port: int = 443
    scheduler_config: str = ""
    apiserver: tuple[str, ...] = ()
    """Options of the API server, as texts `--name=value`."""
    format: int = FORMAT

    @property
    def node_names(self) -> tuple[str, ...]:
        return tuple(f"node-{number}" for number in range(1, self.nodes + 1))

    @property
    def api_address(self) -> str:
        """Where pods and nodes find the API server."""
        return f"{NODE_NETWORK}1" if self.nodes else "127.0.0.1"


def node_number(name: str) -> int:
    return int(name.rpartition("-")[2])


def node_address(name: str) -> str:
    return f"{NODE_NETWORK}{node_number(name)}"


def read_record(layout: Layout) -> ClusterRecord | None:
    """None when there is no cluster here yet; raises CommandError for one of another version, or a BrokenRecord."""
    try:
        document: Any = json.loads(layout.record.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise CommandError(f"{layout.record} belongs to another user: run this as root (sudo)") from error
    except (OSError, ValueError) as error:
        raise _broken(layout, str(error)) from error
    if not isinstance(document, dict):
        raise _broken(layout, "it is no JSON object")
    if document.get("format") != FORMAT:
        raise CommandError(
            f"the data directory {layout.root} has format {document.get('format')} and this version of Kajitori reads "
            f"format {FORMAT}: use the version that wrote it, or another --data-dir"
        )
    fields = dataclasses.fields(ClusterRecord)
    values = {field.name: document[field.name] for field in fields if field.name in document}
    for name in ("disable", "apiserver"):
        values[name] = tuple(values.get(name) or ())
    for field in fields:
        # The defaults are of the fields' types.
        if not isinstance(values.get(field.name, field.default), type(field.default)):
            raise _broken(layout, f"its `{field.name}` is {values[field.name]!r}")
    return ClusterRecord(**values)


def _broken(layout: Layout, reason: str) -> BrokenRecord:
    return BrokenRecord(
        f"{layout.record} cannot be used ({reason}): restore it from a backup, or run `kajitori up` with the options "
        f"of before after removing that one file, or `kajitori down --purge --data-dir {layout.root}`"
    )


def write_record(layout: Layout, record: ClusterRecord) -> None:
    replace_file(layout.record, json.dumps(dataclasses.asdict(record), indent=2).encode())


def require_record(layout: Layout) -> ClusterRecord:
    record = read_record(layout)
    if record is None:
        raise CommandError(f"there is no cluster in {layout.root}: start one with `kajitori up`")
    return record
