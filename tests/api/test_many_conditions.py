"""Selectors of many conditions mean the same as their conditions one by one."""

import random

from kajitori.api.selectors import FieldRequirement, FieldSelector, LabelSelector, Requirement
from kajitori.api.selectors.many import MANY

KEYS = ("a", "b", "c")
VALUES = ("", "1", "2", "3", "10", "x")


def _requirement(chance: random.Random) -> Requirement:
    operator = chance.choice(("In", "NotIn", "NotIn", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"))
    if operator in ("Exists", "DoesNotExist"):
        return Requirement(chance.choice(KEYS), operator)
    few = 1 if operator in ("Gt", "Lt") else chance.randint(1, 5)
    return Requirement(chance.choice(KEYS), operator, tuple(sorted(set(chance.choices(VALUES, k=few)))))


def _labels(chance: random.Random) -> dict[str, str]:
    return {key: chance.choice(VALUES) for key in KEYS if chance.random() < 0.7}


def test_labels_judged_together_and_one_by_one_agree() -> None:
    chance, verdicts = random.Random(1), set()
    for _ in range(3000):
        # Repeated, so that what they ask is little enough to be met now and then.
        wanted = tuple(_requirement(chance) for _ in range(chance.randint(1, 3))) * (MANY + 1)
        labels = _labels(chance)
        one_by_one = all(requirement.matches(labels) for requirement in wanted)
        assert LabelSelector(wanted).matches(labels) is one_by_one, (wanted[:3], labels)
        verdicts.add(one_by_one)
    assert verdicts == {True, False}


def test_fields_judged_together_and_one_by_one_agree() -> None:
    chance, verdicts = random.Random(2), set()
    for _ in range(1000):
        few = [
            FieldRequirement(chance.choice(KEYS), chance.choice(VALUES), equal=chance.random() < 0.3) for _ in range(2)
        ]
        fields = _labels(chance)
        verdict = FieldSelector(tuple(few)).matches(fields)
        assert FieldSelector(tuple(few) * MANY).matches(fields) is verdict, (few, fields)
        verdicts.add(verdict)
    assert verdicts == {True, False}


def test_a_selector_of_many_values_is_equal_to_its_twin_and_hashes_like_it() -> None:
    many = Requirement("a", "In", tuple(str(number) for number in range(100)))
    one, other = LabelSelector((many,)), LabelSelector((many,))
    assert one == other and hash(one) == hash(other) and one.matches({"a": "42"}) and not one.matches({"a": "x"})
