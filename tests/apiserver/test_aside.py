"""What is large is worked on in a thread of its own, and what proves to be long is begun again there."""

import asyncio
import threading

import pytest

from kajitori.api.errors import BadRequest
from kajitori.api.meta import Object
from kajitori.apiserver.aside import LARGE_BYTES, Aside, TakesLong, in_a_hurry
from kajitori.apiserver.special.custom_validation import CustomValidation


def _where() -> tuple[int, bool]:
    return threading.get_ident(), in_a_hurry()


def test_small_work_is_done_at_once_and_large_work_elsewhere() -> None:
    async def scenario() -> None:
        aside, here = Aside(), threading.get_ident()
        assert await aside.run(LARGE_BYTES, _where) == (here, False)
        assert (await aside.run(LARGE_BYTES + 1, _where))[0] != here
        assert await aside.attempt(LARGE_BYTES, _where) == (here, True)
        thread, hurried = await aside.attempt(LARGE_BYTES + 1, _where)
        assert thread != here and not hurried and not in_a_hurry()
        aside.close()

    asyncio.run(scenario())


def test_the_loop_goes_on_meanwhile() -> None:
    async def scenario() -> None:
        aside, answered = Aside(), threading.Event()
        work = asyncio.ensure_future(aside.run(LARGE_BYTES + 1, answered.wait, 60))
        await asyncio.sleep(0)
        assert aside.busy == 1
        answered.set()  # what only a loop that is not held up can do
        assert await work is True and aside.busy == 0
        aside.close()

    asyncio.run(scenario())


def test_what_proves_to_be_long_is_done_again_elsewhere() -> None:
    def work() -> int:
        if in_a_hurry():
            raise TakesLong
        return threading.get_ident()

    async def scenario() -> None:
        aside = Aside()
        assert await aside.attempt(1, work) != threading.get_ident()
        aside.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("size", [1, LARGE_BYTES + 1])
def test_refusals_are_told_from_anywhere(size: int) -> None:
    def refuse() -> None:
        raise BadRequest("no")

    async def scenario() -> None:
        aside = Aside()
        for way in (aside.run, aside.attempt):
            with pytest.raises(BadRequest):
                await way(size, refuse)
        aside.close()

    asyncio.run(scenario())


def _ruled(*rules: str) -> CustomValidation:
    texts: Object = {"type": "array", "maxItems": 500, "items": {"type": "integer"}}
    spec = {"type": "object", "properties": {"list": texts}}
    spec["x-kubernetes-validations"] = [{"rule": rule} for rule in rules]
    return CustomValidation({"type": "object", "properties": {"spec": spec}})


DEAR = "self.list.all(x, self.list.all(y, x >= 0 && y >= 0))"


@pytest.mark.parametrize(("size", "moved"), [(5, False), (400, True)])
def test_rules_that_take_long_are_judged_elsewhere_with_the_same_words(size: int, moved: bool) -> None:
    validation, places = _ruled(DEAR, "self.list[0] > 7"), []
    obj = {"spec": {"list": [1] * size}}

    def judge() -> list[str]:
        places.append(threading.get_ident())
        return [str(error) for error in validation.validate(obj)]

    async def scenario() -> list[str]:
        aside = Aside()
        found = await aside.attempt(1, judge)
        aside.close()
        return found

    assert asyncio.run(scenario()) == [str(error) for error in validation.validate(obj)] != []
    assert (len(set(places)) == 2) is moved


def test_many_rules_are_compiled_elsewhere() -> None:
    validation, places = _ruled(*(f"self.list[0] != {number}" for number in range(2, 1500))), []

    async def scenario() -> None:
        aside = Aside()
        for _ in range(2):
            places.append([])
            assert await aside.attempt(1, judge) == []
        aside.close()

    def judge() -> list[object]:
        places[-1].append(threading.get_ident())
        return list(validation.validate({"spec": {"list": [1]}}))

    asyncio.run(scenario())
    assert [len(each) for each in places] == [2, 1]
