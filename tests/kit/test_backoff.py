"""Back-off: grows, is limited, and spreads when told to."""

import random

from hypothesis import given
from hypothesis import strategies as st

from kajitori.kit.backoff import Backoff


def test_it_doubles_up_to_its_limit():
    backoff = Backoff(initial_s=1, max_s=10)
    assert [backoff.delay_s(n) for n in range(1, 7)] == [1, 2, 4, 8, 10, 10]


def test_no_failure_is_like_the_first():
    assert Backoff(initial_s=1).delay_s(0) == 1


@given(st.integers(0, 10_000), st.floats(0, 2), st.integers(0, 99))
def test_jitter_adds_no_more_than_its_share(failures, jitter, seed):
    plain = Backoff(initial_s=0.5, max_s=30)
    spread = Backoff(initial_s=0.5, max_s=30, jitter=jitter)
    least = plain.delay_s(failures)
    assert least <= spread.delay_s(failures, random.Random(seed)) <= least * (1 + jitter)


def test_without_randomness_there_is_no_jitter():
    assert Backoff(initial_s=1, jitter=1.0).delay_s(1) == 1
