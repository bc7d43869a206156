from hypothesis import given
from hypothesis import strategies as st

from kajitori.api.meta import name_of
from kajitori.apiserver.bootstrap.flowcontrol import flow_control
from kajitori.apiserver.flow.limits import SeatLimits, Wish, allocate, seat_limits

DEFAULTS = {name_of(obj): obj["spec"] for _, obj in flow_control() if obj["kind"] == "PriorityLevelConfiguration"}


def test_the_default_levels_divide_600_seats_as_the_reference_says():
    seats = seat_limits(600, DEFAULTS)
    assert {name: found.nominal for name, found in seats.items()} == {
        "exempt": 0,
        "catch-all": 13,
        "global-default": 49,
        "leader-election": 25,
        "node-high": 98,
        "system": 74,
        "workload-high": 98,
        "workload-low": 245,
    }
    assert seats["workload-low"].lower == 245 - 221
    assert seats["leader-election"] == SeatLimits(25, 25, 600)


def test_a_borrowing_limit_bounds_what_a_level_may_reach():
    limited = {"nominalConcurrencyShares": 1, "lendablePercent": 0, "borrowingLimitPercent": 50}
    specs = {"a": {"type": "Limited", "limited": limited}, "b": {"type": "Limited", "limited": {}}}
    assert seat_limits(310, specs)["a"] == SeatLimits(10, 10, 15)


def test_half_a_seat_is_a_whole_one():
    specs = {"a": {"type": "Limited", "limited": {"lendablePercent": 50, "borrowingLimitPercent": 50}}}
    assert seat_limits(5, specs)["a"] == SeatLimits(5, 2, 5)
    assert seat_limits(10, {**specs, "b": specs["a"]})["a"] == SeatLimits(5, 2, 8)


def test_idle_levels_lend_what_they_may_to_the_one_in_need():
    assert allocate(100, [Wish(500, 40, 100), Wish(0, 10, 100), Wish(0, 20, 100)]) == [70, 10, 20]


def test_two_in_need_share_in_proportion():
    assert allocate(90, [Wish(200, 10, 90), Wish(100, 10, 90)]) == [60, 30]


@given(
    st.integers(1, 1000),
    st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 200), st.floats(0, 800)), min_size=1, max_size=8),
)
def test_bounds_hold_and_seats_are_neither_lost_nor_made(total, drawn):
    wishes = [Wish(max(target, lower), lower, lower + more) for target, lower, more in drawn]
    given_seats = allocate(total, wishes)
    for wish, seats in zip(wishes, given_seats, strict=True):
        assert wish.lower - 1 <= seats <= wish.upper + 1
    possible = min(max(total, sum(w.lower for w in wishes)), sum(w.upper for w in wishes))
    assert abs(sum(given_seats) - possible) <= len(wishes)
