"""A custom resource against its schema and the rules in it, when it is new and when it changes."""

from kajitori.api.meta import Object
from kajitori.apiserver.special.custom_validation import CustomValidation

SPEC: Object = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 3},
        "code": {"type": "string", "pattern": "^(a+)+$"},
        "n": {"type": "integer", "x-kubernetes-validations": [{"rule": "self > 5"}]},
        "items": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["id"],
            "items": {
                "type": "object",
                "properties": {"id": {"type": "string"}, "v": {"type": "string", "enum": ["a"]}},
            },
        },
    },
}
VALIDATION = CustomValidation({"type": "object", "properties": {"spec": SPEC}})


def messages(new: Object, old: Object | None = None) -> list[str]:
    if old is None:
        return [str(error) for error in VALIDATION.validate({"spec": new})]
    return [str(error) for error in VALIDATION.revalidate({"spec": new}, {"spec": old})]


def test_rules_are_judged_with_the_schema() -> None:
    assert messages({"name": "abc", "n": 6}) == []
    assert messages({"name": "abc", "n": 5}) == ["spec.n: Invalid value: 5: failed rule: self > 5"]


def test_rules_wait_until_the_form_is_right() -> None:
    assert messages({"name": "abcd", "n": 5}) == [
        "spec.name: Too long: may not be more than 3 bytes",
        "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct "
        "the existing errors to complete validation",
    ]


def test_what_a_change_leaves_as_it_was_is_tolerated() -> None:
    assert messages({"name": "abcd", "n": 7}, {"name": "abcd", "n": 6}) == []
    assert len(messages({"name": "abcde", "n": 7}, {"name": "abcd", "n": 7})) == 2
    assert messages({"n": 1, "name": "b"}, {"n": 1, "name": "a"}) == []


def test_items_with_keys_are_known_again_wherever_they_stand() -> None:
    old = {"items": [{"id": "1", "v": "wrong"}]}
    moved = {"items": [{"id": "0", "v": "a"}, {"id": "1", "v": "wrong"}]}
    assert messages(moved, old) == []
    assert len(messages({"items": [{"id": "2", "v": "wrong"}]}, old)) == 2


def test_a_pattern_takes_linear_time() -> None:
    assert "should match" in messages({"code": "a" * 5000 + "b"})[0]
