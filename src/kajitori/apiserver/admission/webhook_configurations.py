"""The webhooks that are configured, in the order in which they are asked, ready to be matched against a request."""

from collections import Counter
from dataclasses import dataclass
from itertools import chain

from kajitori.api import admissionregistration
from kajitori.api.meta import Object, name_of
from kajitori.api.resource import Resource
from kajitori.apiserver.admission.conditions import Conditions
from kajitori.apiserver.admission.matching import Criteria
from kajitori.apiserver.admission.scene import Surroundings

MUTATING = admissionregistration.MUTATING_WEBHOOK_CONFIGURATION
VALIDATING = admissionregistration.VALIDATING_WEBHOOK_CONFIGURATION
_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class Hook:
    """One webhook of a configuration. `uid` tells it from all others, those of the same name included."""

    configuration: str
    name: str
    uid: str
    criteria: Criteria
    conditions: Conditions | None
    client: Object
    review_versions: tuple[str, ...]
    timeout_s: float
    may_fail: bool
    has_side_effects: bool
    wants_changes: bool


class WebhookConfigurations:
    """Follows the stored configurations of one kind."""

    def __init__(self, surroundings: Surroundings, resource: Resource) -> None:
        self._equivalents = surroundings.versions.others
        self._by_configuration: dict[str, list[Hook]] = {}
        self.hooks: tuple[Hook, ...] = ()
        self.stop = surroundings.objects.subscribe(resource, self._changed)

    def _changed(self, event: str, configuration: Object) -> None:
        if event == "DELETED":
            self._by_configuration.pop(name_of(configuration), None)
        else:
            self._by_configuration[name_of(configuration)] = self._hooks_of(configuration)
        ordered = (self._by_configuration[name] for name in sorted(self._by_configuration))
        self.hooks = tuple(chain.from_iterable(ordered))

    def _hooks_of(self, configuration: Object) -> list[Hook]:
        named: Counter[str] = Counter()
        found = []
        for webhook in configuration.get("webhooks") or ():
            name = str(webhook["name"])
            found.append(self._hook(name_of(configuration), name, f"{name}/{named[name]}", webhook))
            named[name] += 1
        return found

    def _hook(self, configuration: str, name: str, numbered: str, webhook: Object) -> Hook:
        may_fail = webhook.get("failurePolicy") == "Ignore"
        conditions = webhook.get("matchConditions")
        return Hook(
            configuration=configuration,
            name=name,
            uid=f"{configuration}/{numbered}",
            criteria=Criteria(webhook, "rules", self._equivalents),
            conditions=Conditions(conditions, may_fail=may_fail) if conditions else None,
            client=webhook["clientConfig"],
            review_versions=tuple(webhook.get("admissionReviewVersions") or ()),
            timeout_s=webhook.get("timeoutSeconds") or _TIMEOUT_S,
            may_fail=may_fail,
            has_side_effects=webhook.get("sideEffects") not in ("None", "NoneOnDryRun"),
            wants_changes=webhook.get("reinvocationPolicy") == "IfNeeded",
        )
