"""Which form a body has, and which form the client wants to see."""

from collections.abc import Iterator
from enum import Enum
from typing import Any, NamedTuple

import orjson

from kajitori.api.errors import BadRequest, NotAcceptable, UnsupportedMediaType
from kajitori.apiserver.yaml_documents import YamlError, dump_yaml, load_yaml
from kajitori.kit.syntax_errors import json_error, yaml_error
from kajitori.kit.text_cache import text_cache

PROTOBUF = "application/vnd.kubernetes.protobuf"
YAML_APPLY = "application/yaml"
_OFFERED = "application/json, application/yaml, application/vnd.kubernetes.protobuf"


class Malformed(BadRequest):
    """A body that is no JSON or YAML. The message is `why`, the reader's complaint, behind what it was read for."""

    def __init__(self, why: str, read_for: str = "") -> None:
        super().__init__(f"{read_for}{why}")


class Form(Enum):
    """What an answer shows of the objects."""

    OBJECT = "object"
    TABLE = "Table"
    METADATA = "PartialObjectMetadata"
    METADATA_LIST = "PartialObjectMetadataList"
    DISCOVERY = "APIGroupDiscoveryList"


class Accepted(NamedTuple):
    form: Form = Form.OBJECT
    version: str = "v1"
    yaml: bool = False
    pretty: bool = False

    @property
    def plain(self) -> bool:
        """Compact JSON of whole objects: what is stored can be sent as it is."""
        return self.form is Form.OBJECT and not self.yaml and not self.pretty

    @property
    def content_type(self) -> str:
        """Tables and metadata say in their document what they are; aggregated discovery says it here too."""
        base = "application/yaml" if self.yaml else "application/json"
        if self.form is not Form.DISCOVERY:
            return base
        return f"{base};g=apidiscovery.k8s.io;v={self.version};as={self.form.value}"


_PLAIN = Accepted()
_VERSIONS = {
    Form.TABLE: ("v1", "v1beta1"),
    Form.METADATA: ("v1", "v1beta1"),
    Form.METADATA_LIST: ("v1", "v1beta1"),
    Form.DISCOVERY: ("v2",),
}
_GROUPS = {Form.DISCOVERY: "apidiscovery.k8s.io"}


def _quality(parameters: dict[str, str]) -> float:
    try:
        return float(parameters.get("q", "1"))
    except ValueError:
        return 1.0


_MEDIA = ("application/json", "application/yaml", PROTOBUF)
_STREAMS = ", application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"
_OBJECTS = frozenset((Form.TABLE, Form.METADATA, Form.METADATA_LIST))
_AGGREGATED = frozenset((Form.DISCOVERY,))
_PLAINLY: frozenset[Form] = frozenset()


class _NotOffered(NotAcceptable):
    """No alternative names a media type that the path gives: refused before anything is done."""


def accepted(header: str, *, lists: bool = False) -> Accepted:
    """The first alternative that can be served: JSON and YAML, as objects, tables or metadata alone. `lists`: a path
    that can be watched too.

    Raises NotAcceptable. Who lists nothing but protobuf gets JSON: Go clients read what Content-Type says.
    """
    if header in ("", "application/json", "*/*"):
        return _PLAIN
    try:
        return _of_objects(header)
    except _NotOffered:
        raise NotAcceptable(_nothing_of(_OFFERED + (_STREAMS if lists else "")), {}) from None


def accepted_of_watch(header: str) -> Accepted:
    """Of a watch, which streams no YAML: what stands beside it is taken. Raises NotAcceptable."""
    accept = accepted(header, lists=True)
    if not accept.yaml:
        return accept
    others = [text for text in header.split(",") if text.partition(";")[0].strip() != "application/yaml"]
    if not others:
        raise NotAcceptable(f"only the following media types are accepted: {_STREAMS[2:]}")
    return accepted(",".join(others), lists=True)


def accepted_as_object(header: str) -> Accepted:
    """Of answers that have no other form. Raises NotAcceptable."""
    if header in ("", "application/json", "*/*"):
        return _PLAIN
    _check_offered(header)
    return _first(header, _PLAINLY)


def accepted_of_discovery(header: str, *, aggregated: bool, routed: bool) -> Accepted:
    """Of discovery, the whole of which has an aggregated form; `routed` documents are given by a version itself, and
    its paths compare media types as they stand. Raises NotAcceptable."""
    if routed and header:
        _check_offered(header)
    return _first(header, _AGGREGATED if aggregated else _PLAINLY) if header else _PLAIN


def _nothing_of(offered: str) -> str:
    return f"406: Not Acceptable\n\nAvailable representations: {offered}"


def _check_offered(header: str) -> None:
    """Media types are compared as they stand, `*/*` alone matching all, before forms and qualities are looked at."""
    media = [alternative.partition(";")[0].strip() for alternative in header.split(",")]
    if not any(name in _MEDIA or "*/*" in name for name in media):
        raise _NotOffered(_nothing_of(_OFFERED), {})


@text_cache(entries_max=512, length_max=1024)
def _of_objects(header: str) -> Accepted:
    _check_offered(header)
    return _first(header, _OBJECTS)


def alternatives_of(header: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Media types and their parameters, as they stand."""
    for alternative in header.split(","):
        media, *rest = (part.strip() for part in alternative.split(";"))
        yield media, dict(part.partition("=")[::2] for part in rest)


def _first(header: str, forms: frozenset[Form]) -> Accepted:
    """The first alternative, by quality and then by place, that asks for the object itself or for one of these."""
    alternatives = [
        (-_quality(parameters), index, media, parameters)
        for index, (media, parameters) in enumerate(alternatives_of(header))
    ]
    # Protobuf comes last, because a form that can be served may stand behind it.
    for _, _, media, parameters in sorted(alternatives, key=lambda a: (a[2] == PROTOBUF, *a[:2])):
        if media not in (*_MEDIA, "application/*", "*/*", "*"):
            continue
        yaml = media == "application/yaml"
        if not (asked := parameters.get("as")):
            return Accepted(yaml=yaml, pretty=parameters.get("pretty") == "1")
        form = next((form for form in forms if form.value == asked), None)
        if form is None or parameters.get("g") != _GROUPS.get(form, "meta.k8s.io"):
            continue
        if (version := parameters.get("v", "")) in _VERSIONS[form]:
            return Accepted(form, version, yaml)
    raise NotAcceptable(f"only the following media types are accepted: {_OFFERED}")


def decode_body(body: bytes, content_type: str, *, allowed: str = "") -> Any:
    """A request's document: JSON, YAML or protobuf; without `Content-Type`, JSON.

    Raises Malformed, UnsupportedMediaType.
    """
    media = content_type.partition(";")[0].strip().lower()
    if media in ("", "application/json"):
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise Malformed(json_error(body) or str(error), "couldn't get version/kind; json parse error: ") from None
    if media == "application/yaml":
        return _decode_yaml(body)
    if media == PROTOBUF and not allowed:
        from kajitori.api.protobuf import decode_protobuf  # only Go clients need it

        return decode_protobuf(body)
    raise UnsupportedMediaType(
        "the body of the request was in an unknown format - accepted media types include: " + (allowed or _OFFERED)
    )


def _decode_yaml(body: bytes) -> Any:
    try:
        return load_yaml(body)
    except YamlError as error:
        raise Malformed(yaml_error(error)) from None


def encode_document(document: Any, accept: Accepted) -> bytes:
    if accept.yaml:
        return dump_yaml(document)
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 if accept.pretty else 0)
