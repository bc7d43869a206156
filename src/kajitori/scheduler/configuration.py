"""Profiles from a configuration document: kubescheduler.config.k8s.io/v1 KubeSchedulerConfiguration.

A profile may leave plugins out, weigh them differently, and add its own, named `module:Class`:

profiles:
- schedulerName: green
  plugins:
    multiPoint:
      disabled: [{name: ImageLocality}]
      enabled: [{name: NodeAffinity, weight: 5}, {name: "my.plugins:OnlyGreen"}]
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from kajitori.scheduler.decide import Profile
from kajitori.scheduler.framework import Filter, Score
from kajitori.scheduler.view import NAME

POINTS = ("multiPoint", "filter", "score")
ALL = "*"


class ConfigurationError(ValueError):
    """The document asks for what there is not; the message names it and says what there is."""


def profiles_of(document: Mapping[str, Any]) -> dict[str, Profile]:
    """By scheduler name. A document without profiles gives the default one. Raises ConfigurationError."""
    found = {}
    for profile in document.get("profiles") or [{}]:
        name = profile.get("schedulerName") or NAME
        if name in found:
            raise ConfigurationError(f"two profiles named {name!r}: give each its own schedulerName")
        found[name] = _profile(profile)
    return found


def _profile(document: Mapping[str, Any]) -> Profile:
    if document.get("pluginConfig"):
        raise ConfigurationError("pluginConfig is not supported: write a plugin of your own with other arguments")
    points = document.get("plugins") or {}
    if unknown := sorted(set(points) - set(POINTS)):
        raise ConfigurationError(f"no such extension point: {', '.join(unknown)}; there are {', '.join(POINTS)}")
    profile = Profile()
    try:
        for point in POINTS:
            profile = _disable(profile, point, [p["name"] for p in points.get(point, {}).get("disabled") or ()])
            for plugin in points.get(point, {}).get("enabled") or ():
                profile = _enable(profile, point, plugin["name"], plugin.get("weight") or 0)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    return profile


def _disable(profile: Profile, point: str, names: list[str]) -> Profile:
    filters, scores = point != "score", point != "filter"
    if ALL in names:
        return profile.only(
            filters=[] if filters else profile.filters,
            scores=[] if scores else profile.scores,
        )
    return profile.without(*names, filters=filters, scores=scores)


def _enable(profile: Profile, point: str, name: str, weight: int) -> Profile:
    """What is there already stays where it is, and only its weight changes."""
    plugin = _load(name) if ":" in name else _builtin(name)
    filters, scores = list(profile.filters), list(profile.scores)
    if isinstance(plugin, Filter) and point != "score" and plugin.name not in [p.name for p in filters]:
        filters.append(plugin)
    if isinstance(plugin, Score) and point != "filter" and plugin.name not in [p.name for p in scores]:
        scores.append(plugin)
    changed = profile.only(filters, scores)
    return changed.with_weights(**{plugin.name: weight}) if weight else changed


def _builtin(name: str) -> Filter | Score:
    default = Profile()
    plugins: list[Filter | Score] = [*default.filters, *default.scores]
    found = next((plugin for plugin in plugins if plugin.name == name), None)
    if found is None:
        known = ", ".join(sorted({plugin.name for plugin in plugins}))
        raise ConfigurationError(f"no such scheduler plugin: {name}; there are {known}")
    return found


def _load(name: str) -> Filter | Score:
    module, _, kind = name.partition(":")
    try:
        plugin = getattr(import_module(module), kind)()
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"scheduler plugin {name!r} was not found: {error}") from None
    if not isinstance(plugin, Filter | Score):
        raise ConfigurationError(f"scheduler plugin {name!r} is neither a Filter nor a Score")
    return plugin
