import pytest

from kajitori.kit.randomness import BLOCK_BYTES, BlockRandom


def test_nothing_is_given_out_twice():
    rng = BlockRandom()
    assert len({rng.getrandbits(128) for _ in range(BLOCK_BYTES)}) == BLOCK_BYTES


@pytest.mark.parametrize("bits", [1, 7, 8, 9, 64, 128])
def test_as_many_bits_as_asked_for(bits):
    rng = BlockRandom()
    drawn = [rng.getrandbits(bits) for _ in range(200)]
    assert min(drawn) >= 0 and max(drawn).bit_length() == bits


def test_more_than_a_block():
    assert len(BlockRandom().randbytes(3 * BLOCK_BYTES + 1)) == 3 * BLOCK_BYTES + 1


def test_what_is_built_on_it():
    rng = BlockRandom()
    assert all(0 <= rng.random() < 1 for _ in range(1000))
    assert {rng.choice("abc") for _ in range(200)} == set("abc")
    assert len(set(rng.sample(range(100), 50))) == 50


def test_it_has_no_state():
    rng = BlockRandom()
    rng.seed(1)
    first = rng.getrandbits(128)
    rng.seed(1)
    assert rng.getrandbits(128) != first
    with pytest.raises(NotImplementedError):
        rng.getstate()
    with pytest.raises(NotImplementedError):
        rng.setstate(None)
