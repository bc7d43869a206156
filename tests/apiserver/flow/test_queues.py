from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from kajitori.apiserver.flow.queues import FairQueues, QueueShape, Waiting, deal

SHAPE = QueueShape(64, 6, 50)


def waiting(flow, width=1):
    return Waiting(flow, width, 0.0, None)


def join(queues, flow, shape=SHAPE, width=1):
    one = waiting(flow, width)
    assert queues.join(one, deal(flow, shape), shape.length_max)
    return one


@given(st.text(), st.integers(1, 200), st.integers(1, 12))
def test_a_hand_is_distinct_queues_and_always_the_same(flow, queues, hand_size):
    shape = QueueShape(queues, hand_size, 1)
    hand = deal(flow, shape)
    assert len(set(hand)) == len(hand) == min(hand_size, queues)
    assert all(0 <= queue < queues for queue in hand) and hand == deal(flow, shape)


def test_hands_are_spread_over_all_queues():
    dealt = Counter(queue for flow in range(2000) for queue in deal(str(flow), SHAPE))
    assert len(dealt) == 64 and max(dealt.values()) < 2 * min(dealt.values())


def test_one_that_floods_does_not_keep_another_waiting():
    queues = FairQueues()
    for _ in range(200):
        join(queues, "elephant")
    mouse = join(queues, "mouse")
    turns = []
    while mouse not in turns:
        turns.append(queues.first())
        queues.take(turns[-1])
    assert len(turns) <= 7  # at most one from each queue of the elephant's hand before it


def test_a_flow_fills_its_own_hand_and_is_then_refused():
    queues, shape = FairQueues(), QueueShape(64, 2, 5)
    for _ in range(10):
        join(queues, "elephant", shape)
    assert not queues.join(waiting("elephant"), deal("elephant", shape), 5)
    assert queues.waiting == 10
    assert queues.join(waiting("mouse"), deal("mouse", shape), 5)


def test_long_requests_count_for_what_they_took():
    queues, shape = FairQueues(), QueueShape(2, 1, 500)
    names = {deal(name, shape): name for name in "abcdefgh"}
    slow, quick = names.values()
    for _ in range(100):
        join(queues, slow, shape)
        join(queues, quick, shape)
    served = Counter()
    for _ in range(100):
        one = queues.first()
        queues.take(one)
        queues.finished(one, 0.03 if one.schema == slow else 0.01)
        served[one.schema] += 1
    assert 2.5 < served[quick] / served[slow] < 3.5


def test_who_gives_up_leaves_no_trace():
    queues = FairQueues()
    first, second = join(queues, "a"), join(queues, "a", width=3)
    queues.leave(first)
    assert (queues.waiting, queues.seats) == (1, 3)
    queues.take(second)
    assert (queues.waiting, queues.seats, queues.first()) == (0, 0, None)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 5), st.booleans())))
def test_everyone_who_waits_is_served_once(steps):
    queues, joined, served = FairQueues(), [], []
    for flow, width, serve in steps:
        joined.append(join(queues, flow, QueueShape(8, 2, 1000), width))
        if serve and (first := queues.first()) is not None:
            queues.take(first)
            served.append(first)
    while (first := queues.first()) is not None:
        queues.take(first)
        served.append(first)
        queues.finished(first, 0.001)
    assert sorted(map(id, served)) == sorted(map(id, joined))
    assert queues.waiting == queues.seats == 0
