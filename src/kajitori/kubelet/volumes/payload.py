"""Which files a ConfigMap, Secret, downward API or projected volume holds: bytes and mode by relative path."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kajitori.api.meta import Object
from kajitori.kubelet.secrets_text import decode_secret

MODE_DEFAULT = 0o644


class MissingPart(Exception):
    """Something that is not optional is not there; the message is upstream's."""


@dataclass(frozen=True, slots=True)
class File:
    content: bytes
    mode: int
    owner: int | None = None
    """A user other than root."""


Payload = dict[str, File]


def config_map_data(obj: Object) -> dict[str, bytes]:
    texts = {key: value.encode() for key, value in (obj.get("data") or {}).items()}
    return texts | {key: base64.b64decode(value) for key, value in (obj.get("binaryData") or {}).items()}


def secret_data(obj: Object) -> dict[str, bytes]:
    return {key: decode_secret(value) for key, value in (obj.get("data") or {}).items()}


def keyed_files(source: Object, data: Mapping[str, bytes], mode: int, what: str) -> Payload:
    """All keys, or those that `items` names. `what` names the object in the message for a missing key."""
    items = source.get("items")
    if not items:
        return {key: File(content, mode) for key, content in data.items()}
    files: Payload = {}
    for item in items:
        if item["key"] in data:
            own = item.get("mode")
            files[item["path"]] = File(data[item["key"]], mode if own is None else own)
        elif not source.get("optional"):
            raise MissingPart(f"{what} references non-existent {what} key: {item['key']}")
    return files


def downward_files(
    source: Object, mode: int, field: Callable[[str], str], resource: Callable[[Object], str]
) -> Payload:
    files: Payload = {}
    for item in source.get("items") or ():
        own = item.get("mode")
        text = field(item["fieldRef"]["fieldPath"]) if item.get("fieldRef") else resource(item["resourceFieldRef"])
        files[item["path"]] = File(text.encode(), mode if own is None else own)
    return files
