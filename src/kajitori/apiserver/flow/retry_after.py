"""When a refused client is asked to come back: later, the more are refused (doubling up to 32 s, one second less each
second that is calm), as upstream's tracker of dropped requests does."""

from collections import deque

RETRY_AFTER_S_MAX = 32


class RetryAfter:
    """For one priority level. Counts refusals by second, of the last 32 seconds at most."""

    def __init__(self) -> None:
        self.seconds = 1
        self._refused: deque[tuple[int, int]] = deque(maxlen=RETRY_AFTER_S_MAX)
        self._doubled_s = 0

    def refused(self, now_s: float) -> int:
        """Count one; how many seconds it is to wait."""
        second = int(now_s)
        if self._refused and self._refused[-1][0] == second:
            self._refused[-1] = (second, self._refused[-1][1] + 1)
        else:
            self._reconsider(second)
            self._refused.append((second, 1))
        return self.seconds

    def _reconsider(self, second: int) -> None:
        recent = sum(count for at, count in self._refused if second - at <= self.seconds)
        if recent >= 3 * self.seconds and second - self._doubled_s >= self.seconds:
            self.seconds = min(2 * self.seconds, RETRY_AFTER_S_MAX)
            self._doubled_s = second
        elif recent < self.seconds and self.seconds > 1:
            self.seconds -= 1
