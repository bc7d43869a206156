"""What the rounds of a request's mutation remember: who wants to see later changes, and who has to see them now.

Once something that is configured (a webhook, a policy) has changed the object, all mutating plugins run a second time,
and those of the configured that ask for it (`reinvocationPolicy: IfNeeded`) are called again, but only where the object
changed after their own call. None is called for the first time in the second round. Pure.
"""

from dataclasses import dataclass, field

import orjson

from kajitori.api.meta import Object


@dataclass(slots=True)
class Memory:
    """Of one kind of mutation. `eligible` were called and want to see later changes; `due` have one to see."""

    eligible: set[str] = field(default_factory=set)
    due: set[str] = field(default_factory=set)
    _left: bytes = b""

    def changed(self) -> None:
        """Something has changed the object."""
        self.due |= self.eligible
        self.eligible.clear()

    def begin(self, obj: Object | None) -> None:
        """The second round: what others did since the first one ended counts as a change too."""
        if state_of(obj) != self._left:
            self.changed()

    def end(self, obj: Object | None) -> None:
        self._left = state_of(obj)


@dataclass(slots=True)
class Rounds:
    """`again` asks for the second round; `ends_s` is when the request has to be answered, on the monotonic clock."""

    again: bool = False
    second: bool = False
    ends_s: float = 0.0
    webhooks: Memory = field(default_factory=Memory)
    policies: Memory = field(default_factory=Memory)


def state_of(obj: Object | None) -> bytes:
    return orjson.dumps(obj, option=orjson.OPT_SORT_KEYS)
