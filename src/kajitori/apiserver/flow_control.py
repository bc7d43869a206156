"""How many requests may be under way at once: a simple form of priority and fairness.

Watches and streams do not count. Administrators and nodes are never refused: when everything is too much, it is they
who can mend it.
"""

from kajitori.api.errors import TooManyRequests
from kajitori.apiserver.interfaces import User

EXEMPT_GROUPS = frozenset(("system:masters", "system:nodes"))
_BUSY = "The server is currently unable to handle the request: too many requests, please try again later."


class FlowControl:
    """`reading_max` and `mutating_max` are upstream's max-requests-inflight; beyond, 429 with Retry-After at once."""

    def __init__(self, reading_max: int = 400, mutating_max: int = 200) -> None:
        self._max = {False: reading_max, True: mutating_max}
        self.in_flight = {False: 0, True: 0}

    def enter(self, user: User, *, mutating: bool) -> None:
        """Raises TooManyRequests. Every enter is followed by a leave."""
        if self.in_flight[mutating] >= self._max[mutating] and EXEMPT_GROUPS.isdisjoint(user.groups):
            raise TooManyRequests(_BUSY)
        self.in_flight[mutating] += 1

    def leave(self, *, mutating: bool) -> None:
        self.in_flight[mutating] -= 1
