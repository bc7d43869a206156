import pytest
from hypothesis import given
from hypothesis import strategies as st

from kajitori.api.errors import BadRequest
from kajitori.api.selectors import (
    FieldRequirement,
    FieldSelector,
    LabelSelector,
    Requirement,
    from_label_selector,
    from_label_set,
    parse_field_selector,
    parse_label_selector,
)

LABELS = {"app": "web", "tier": "front", "rank": "5"}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("app=web", True),
        ("app==web", True),
        (" app = web , tier != back ", True),
        ("app!=web", False),
        ("zone!=a", True),
        ("app in (web,db)", True),
        ("app notin (web,db)", False),
        ("zone notin (a)", True),
        ("zone in (a)", False),
        ("app", True),
        ("zone", False),
        ("!zone", True),
        ("!app", False),
        ("rank>4", True),
        ("rank<5", False),
        ("app=", False),
        ("in=a", False),
        ("app in (,web)", True),
        ("example.com/role notin (x),app", True),
    ],
)
def test_label_selector_matches(text: str, matches: bool) -> None:
    assert parse_label_selector(text).matches(LABELS) is matches


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (",a", "found ',', expected: !, identifier, or 'end of string'"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("a,", "found '', expected: identifier after ','"),
        ("a in", "unable to parse requirement: found '' expected: '('"),
        ("a in (", "unable to parse requirement: found '', expected: ',', ')' or identifier"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
    ],
)
def test_label_selector_refuses(text: str, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_label_selector(text)
    assert caught.value.message == message


def test_label_selector_names_the_bad_value() -> None:
    with pytest.raises(
        BadRequest, match=r'requirement: values\[0\]\[app\]: Invalid value: "-x": a valid label must be'
    ):
        parse_label_selector("app=-x")


def test_label_selector_names_the_bad_key() -> None:
    with pytest.raises(BadRequest, match=r'requirement: <nil>: Invalid value: "a/": name part must be non-empty'):
        parse_label_selector("a/=x")


def test_nothing_is_in_an_empty_set_and_everything_is_outside() -> None:
    labels = {"a": "b"}
    assert not parse_label_selector("a in ()").matches(labels)
    assert parse_label_selector("a notin ()").matches(labels)
    assert str(parse_label_selector("a notin ()")) == "a notin ()"


def test_a_field_requirement_without_a_field_and_a_value_says_nothing() -> None:
    assert parse_field_selector("=,!=").empty
    assert not parse_field_selector("=x").empty


def test_selector_document() -> None:
    selector = from_label_selector(
        {"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "tier", "operator": "In", "values": ["front"]}]}
    )
    assert selector.matches(LABELS)
    assert str(selector) == "app=web,tier=front"
    assert not from_label_selector(None).matches(LABELS)
    assert from_label_selector({}).matches({})
    assert from_label_set({"app": "web"}).matches(LABELS)


def test_selector_document_with_unknown_operator() -> None:
    with pytest.raises(BadRequest, match='"Near" is not a valid label selector operator'):
        from_label_selector({"matchExpressions": [{"key": "a", "operator": "Near"}]})


names = st.from_regex(r"[a-z0-9]([-a-z0-9_.]{0,8}[a-z0-9])?", fullmatch=True)
requirements = st.one_of(
    st.builds(Requirement, names, st.sampled_from(["Exists", "DoesNotExist"])),
    st.builds(
        lambda key, operator, values: Requirement(key, operator, tuple(sorted(values))),
        names,
        st.sampled_from(["In", "NotIn"]),
        st.sets(st.one_of(names, st.just("")), min_size=1, max_size=3),
    ),
)


@given(st.lists(requirements, max_size=4))
def test_label_selector_round_trip(wanted: list[Requirement]) -> None:
    selector = LabelSelector(tuple(sorted(wanted, key=lambda r: r.key)))
    assert parse_label_selector(str(selector)) == selector


@given(st.text(alphabet="ab=!(), <>n\tio", max_size=12))
def test_any_text_parses_or_is_refused(text: str) -> None:
    try:
        selector = parse_label_selector(text)
    except BadRequest:
        return
    assert parse_label_selector(str(selector)) == selector


def test_field_selector() -> None:
    selector = parse_field_selector("metadata.name=a,status.phase!=Failed,,spec.nodeName==")
    assert selector.matches({"metadata.name": "a", "status.phase": "Running"})
    assert not selector.matches({"metadata.name": "a", "status.phase": "Failed"})
    assert not selector.matches({"metadata.name": "a", "spec.nodeName": "n"})
    assert selector.required("metadata.name") == "a"
    assert selector.required("status.phase") is None


def test_field_selector_names_the_unknown_field() -> None:
    with pytest.raises(BadRequest, match=r"field label not supported: spec\.x"):
        parse_field_selector("spec.x=1").check(["metadata.name"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a=b,name", "invalid selector: 'a=b,name'; can't understand 'name'"),
        ("a=b=c", "invalid field selector: unescaped character in value: ="),
        ("a=b\\x", "invalid field selector: invalid escape sequence: \\x"),
        ("a=b\\", "invalid field selector: invalid escape sequence: \\"),
    ],
)
def test_field_selector_refuses(text: str, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_field_selector(text)
    assert caught.value.message == message


field_requirements = st.builds(FieldRequirement, names, st.text(max_size=6), st.booleans())


@given(st.lists(field_requirements, max_size=3))
def test_field_selector_round_trip(wanted: list[FieldRequirement]) -> None:
    selector = FieldSelector(tuple(wanted))
    assert parse_field_selector(str(selector)) == selector
