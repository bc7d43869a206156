"""Numbers given out at random from a range: the offsets of cluster IPs, and node ports.

The lower band is left to those who ask for a number by name, and used for others only when the rest is gone
(KEP-3070, KEP-3668). What is taken follows the committed objects; a number given to a write under way is held until
that write is committed or rolled back.
"""

import random
from collections.abc import Iterable


class Exhausted(Exception):
    """Nothing is left in the range."""


class Taken(Exception):
    """Someone else has this number."""


_FOREIGN = "another server"


class NumberPool:
    """Numbers `first` to `first + size - 1`, each with the uid of whom it belongs to."""

    # Tries at random before the range is searched from end to end.
    _ATTEMPTS = 32

    def __init__(self, first: int, size: int, static_band: int, rng: random.Random) -> None:
        self._first = first
        self._size = size
        self._static_band = static_band
        self._rng = rng
        self._owner: dict[int, str] = {}
        self._committed: dict[str, frozenset[int]] = {}

    @property
    def taken(self) -> int:
        return len(self._owner)

    @property
    def free(self) -> int:
        return self._size - len(self._owner)

    def __contains__(self, number: int) -> bool:
        return self._first <= number < self._first + self._size

    def take(self, number: int, owner: str, *, hold: bool = True) -> None:
        """Reserve this very number; raises Taken. With `hold` false it is only checked."""
        if self._owner.get(number, owner) != owner:
            raise Taken
        if hold:
            self._owner[number] = owner

    def take_any(self, owner: str, *, hold: bool = True, besides: Iterable[int] = ()) -> int:
        """Reserve a free number that is not in `besides`; raises Exhausted."""
        number = self._free(frozenset(besides))
        if hold:
            self._owner[number] = owner
        return number

    def commit(self, owner: str, numbers: frozenset[int]) -> None:
        """The stored object holds exactly these."""
        for number in self._committed.get(owner, frozenset()) - numbers:
            self._release(number, owner)
        for number in numbers:
            # The first stored holder keeps it: two may only come from a store that was edited by hand.
            self._owner.setdefault(number, owner)
        if numbers:
            self._committed[owner] = numbers
        else:
            self._committed.pop(owner, None)

    def roll_back(self, owner: str, numbers: Iterable[int]) -> set[int]:
        """Return those numbers that the stored object does not hold; which they are."""
        returned = set(numbers) - self._committed.get(owner, frozenset())
        for number in returned:
            self._release(number, owner)
        return returned

    def hold_foreign(self, number: int) -> None:
        """Not to be given out for now: somebody has it of whom memory has not heard."""
        self._owner.setdefault(number, _FOREIGN)

    def release_foreign(self, number: int) -> None:
        self._release(number, _FOREIGN)

    def _release(self, number: int, owner: str) -> None:
        if self._owner.get(number) == owner:
            del self._owner[number]

    def _free(self, besides: frozenset[int]) -> int:
        end = self._first + self._size
        begin = self._first + self._static_band
        for _ in range(self._ATTEMPTS):
            number = self._rng.randrange(begin, end)
            if number not in self._owner and number not in besides:
                return number
        for band in (range(begin, end), range(self._first, begin)):
            for number in band:
                if number not in self._owner and number not in besides:
                    return number
        raise Exhausted
