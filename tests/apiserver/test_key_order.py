import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kajitori.apiserver.watch_cache import key_order
from kajitori.apiserver.watch_cache.key_order import KeyOrder

KEYS = st.text("ab/", max_size=4)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(key_order, "CHUNK_MAX", 4)


@given(st.lists(KEYS, unique=True), st.randoms(use_true_random=False), KEYS, st.none() | KEYS)
def test_it_is_a_sorted_list(keys, rng, start, end):
    order = KeyOrder()
    for key in keys:
        order.add(key)
    gone = rng.sample(keys, len(keys) // 2)
    for key in gone:
        order.remove(key)
    left = sorted(set(keys) - set(gone))
    assert list(order.between()) == left
    assert list(order.between(start, end)) == [k for k in left if k >= start and (end is None or k < end)]


@pytest.mark.parametrize("descending", [True, False])
def test_keys_that_come_in_order(descending):
    keys = [f"{number:04d}" for number in range(100)]
    order = KeyOrder()
    for key in sorted(keys, reverse=descending):
        order.add(key)
    assert list(order.between()) == keys
    assert list(order.between("0042", "0050")) == keys[42:50]


def test_emptied_and_filled_again():
    order = KeyOrder()
    keys = [str(number) for number in range(20)]
    for _ in range(2):
        for key in random.Random(1).sample(keys, 20):
            order.add(key)
        for key in random.Random(2).sample(keys, 20):
            order.remove(key)
        assert list(order.between()) == []
