"""The base of a plugin, its words of refusal, and the chain that runs each plugin where it has something to say."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from kajitori.api.errors import Forbidden, StatusError
from kajitori.api.meta import Object
from kajitori.apiserver.admission.step_figures import StepFigures
from kajitori.apiserver.configuration import BadConfiguration
from kajitori.apiserver.interfaces import AdmissionRequest

Kind = tuple[str, str]
"""Group and plural."""

PODS: Kind = ("", "pods")

_UPSTREAM_NAMES = {
    "MutatingPolicies": "MutatingAdmissionPolicy",
    "MutatingWebhooks": "MutatingAdmissionWebhook",
    "ValidatingPolicies": "ValidatingAdmissionPolicy",
    "ValidatingWebhooks": "ValidatingAdmissionWebhook",
}
"""Of plugins whose classes are called differently."""


class Plugin:
    """Override what is needed. `kinds` None means every kind, custom ones included."""

    kinds: frozenset[Kind] | None = None

    async def mutate(self, request: AdmissionRequest) -> None:
        """Change `request.object` in place, or raise a StatusError."""

    async def validate(self, request: AdmissionRequest) -> None:
        """Raise a StatusError to refuse."""


def name_of_plugin(plugin: Plugin) -> str:
    """Upstream's."""
    name = type(plugin).__name__
    return _UPSTREAM_NAMES.get(name, name)


class Configured(Plugin):
    """What users configure: webhooks and policies."""

    @property
    def idle(self) -> bool:
        """Whether nothing is configured, so that no request needs to be shown to it."""
        raise NotImplementedError


async def run_mutating(plugins: Sequence[Plugin], request: AdmissionRequest) -> None:
    """Every plugin once, and all a second time when what users have configured changed the object (see `rounds`)."""
    for plugin in plugins:
        await plugin.mutate(request)
    if _goes_round_again(request):
        for plugin in plugins:
            await plugin.mutate(request)


def _goes_round_again(request: AdmissionRequest) -> bool:
    rounds = request.rounds
    if rounds is None or not rounds.again:
        return False
    rounds.second = True
    return True


class _Concerned(NamedTuple):
    """The plugins that care for a kind, by the half that they do something in."""

    mutating: tuple[Plugin, ...]
    validating: tuple[Plugin, ...]


class Chain(Plugin):
    """All plugins as one; which of them care for a kind is worked out once."""

    def __init__(self, plugins: Sequence[Plugin], figures: StepFigures | None = None) -> None:
        self._plugins = tuple(plugins)
        self._figures = figures
        self._by_kind: dict[Kind, _Concerned] = {}

    async def mutate(self, request: AdmissionRequest) -> None:
        plugins, figures = self._for(request).mutating, self._figures
        if figures is None:
            return await run_mutating(plugins, request)
        step, began_s = figures.step("admit", request.operation._value_), figures.now_s()
        plugin: Plugin = self
        try:
            if (laps := step.laps(began_s)) is None:
                for plugin in plugins:
                    await plugin.mutate(request)
            else:
                for plugin in plugins:
                    await plugin.mutate(request)
                    laps.passed(plugin)
            if _goes_round_again(request):
                for plugin in plugins:
                    await plugin.mutate(request)
        except StatusError:
            step.refused(plugin, figures.now_s() - began_s)
            raise
        step.passed(figures.now_s() - began_s)

    async def validate(self, request: AdmissionRequest) -> None:
        plugins, figures = self._for(request).validating, self._figures
        if figures is None:
            for each in plugins:
                await each.validate(request)
            return
        step, began_s = figures.step("validate", request.operation._value_), figures.now_s()
        plugin: Plugin = self
        try:
            if (laps := step.laps(began_s)) is None:
                for plugin in plugins:
                    await plugin.validate(request)
            else:
                for plugin in plugins:
                    await plugin.validate(request)
                    laps.passed(plugin)
        except StatusError:
            step.refused(plugin, figures.now_s() - began_s)
            raise
        step.passed(figures.now_s() - began_s)

    @property
    def by_users(self) -> list[Configured]:
        """Those that users configure through the API."""
        return [plugin for plugin in self._plugins if isinstance(plugin, Configured)]

    @property
    def names(self) -> list[str]:
        return [name_of_plugin(plugin) for plugin in self._plugins]

    def configured(self, on: Collection[str], off: Collection[str], more: Sequence[Plugin] = ()) -> "Chain":
        """Without the plugins of `off`, with `more` at the end. Raises BadConfiguration for an unknown name."""
        for flag, given in (("--enable-admission-plugins", on), ("--disable-admission-plugins", off)):
            for name in given:
                if name not in self.names:
                    raise BadConfiguration(f"{flag} {name}: unknown; choose from {', '.join(sorted(self.names))}")
        for name in set(on) & set(off):
            raise BadConfiguration(f"--disable-admission-plugins {name}: is enabled too; give one of the two")
        kept = [plugin for plugin, name in zip(self._plugins, self.names, strict=True) if name not in off]
        return Chain([*kept, *more], self._figures)

    def _for(self, request: AdmissionRequest) -> _Concerned:
        kind = kind_of(request)
        found = self._by_kind.get(kind)
        if found is None:
            caring = [p for p in self._plugins if p.kinds is None or kind in p.kinds]
            found = self._by_kind[kind] = _Concerned(
                tuple(p for p in caring if type(p).mutate is not Plugin.mutate),
                tuple(p for p in caring if type(p).validate is not Plugin.validate),
            )
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
