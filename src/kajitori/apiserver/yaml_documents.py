"""YAML as Kubernetes reads it: JSON's data model, so `2026-01-01` and `12:30:45` stay strings and yes/no are booleans
only as YAML 1.1 says (sigs.k8s.io/yaml)."""

import re
from collections.abc import Iterator
from typing import Any

import yaml

YamlError = yaml.YAMLError

_Base: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BaseDumper: type = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_INT = re.compile(r"[-+]?(0b[0-1_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)$")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?$|[-+]?[0-9]+[eE][-+]?[0-9]+$"
    r"|[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$"
)


class _Loader(_Base):  # type: ignore[misc]  # chosen at run time
    pass


_RETYPED = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _RETYPED]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", _INT, list("-+0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))


def load_yaml(text: bytes | str) -> Any:
    """The first document; None when there is none. Raises YamlError."""
    return next(yaml.load_all(text, Loader=_Loader), None)


def repeated_keys(text: bytes | str) -> list[str]:
    """Where a mapping has a key again, as sigs.k8s.io/yaml tells it. Expects readable YAML."""
    return list(_repeated(yaml.compose(text, Loader=_Loader)))


def _repeated(node: yaml.Node | None) -> Iterator[str]:
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated(item)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    yield f'line {key.start_mark.line + 1}: key "{key.value}" already set in map'
                seen.add(key.value)
            yield from _repeated(value)


def dump_yaml(document: Any) -> bytes:
    return yaml.dump(document, Dumper=_BaseDumper, default_flow_style=False, allow_unicode=True).encode()
