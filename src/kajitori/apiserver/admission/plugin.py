"""The base of a plugin, its words of refusal, and the chain that runs each plugin where it has something to say."""

from collections.abc import Sequence

from kajitori.api.errors import Forbidden
from kajitori.api.meta import Object
from kajitori.apiserver.interfaces import AdmissionRequest

Kind = tuple[str, str]
"""Group and plural."""

PODS: Kind = ("", "pods")


class Plugin:
    """Override what is needed. `kinds` None means every kind, custom ones included."""

    kinds: frozenset[Kind] | None = None

    async def mutate(self, request: AdmissionRequest) -> None:
        """Change `request.object` in place, or raise a StatusError."""

    async def validate(self, request: AdmissionRequest) -> None:
        """Raise a StatusError to refuse."""


class Chain(Plugin):
    """All plugins as one; which of them care for a kind is worked out once."""

    def __init__(self, plugins: Sequence[Plugin]) -> None:
        self._plugins = tuple(plugins)
        self._by_kind: dict[Kind, tuple[Plugin, ...]] = {}

    async def mutate(self, request: AdmissionRequest) -> None:
        for plugin in self._for(request):
            await plugin.mutate(request)

    async def validate(self, request: AdmissionRequest) -> None:
        for plugin in self._for(request):
            await plugin.validate(request)

    def _for(self, request: AdmissionRequest) -> tuple[Plugin, ...]:
        kind = kind_of(request)
        found = self._by_kind.get(kind)
        if found is None:
            found = tuple(p for p in self._plugins if p.kinds is None or kind in p.kinds)
            self._by_kind[kind] = found
        return found


def kind_of(request: AdmissionRequest) -> Kind:
    return request.resource.group, request.resource.plural


def subject(request: AdmissionRequest) -> Object:
    """The object that is written. Raises for a DELETE, where plugins that need one are not asked."""
    assert request.object is not None, f"{request.operation} of {request.resource.plural} without an object"
    return request.object


def refusal(request: AdmissionRequest, why: str) -> Forbidden:
    """`pods "x" is forbidden: why`."""
    meta = (request.object or {}).get("metadata") or {}
    name = request.name or meta.get("name") or meta.get("generateName") or "Unknown"
    resource = request.resource
    details = {"name": name, "group": resource.group, "kind": resource.plural}
    shown = {key: value for key, value in details.items() if value}
    return Forbidden(f'{resource.qualified_name} "{name}" is forbidden: {why}', shown)
