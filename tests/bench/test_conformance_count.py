"""What is counted from Ginkgo's reports of a conformance run."""

from typing import Any

from bench.conformance_count import outcomes, table


def report(*specs: tuple[str, str], kind: str = "It") -> list[dict[str, Any]]:
    return [
        {
            "SpecReports": [
                {
                    "LeafNodeType": kind,
                    "ContainerHierarchyTexts": [name.split(" ")[0]],
                    "LeafNodeText": name.split(" ", 1)[1],
                    "State": state,
                }
                for name, state in specs
            ]
        }
    ]


def test_only_conformance_tests_are_counted() -> None:
    found = outcomes(
        [
            report(("[sig-apps] a [Conformance]", "passed"), ("[sig-apps] b", "failed")),
            report(("[sig-apps] c [Conformance]", "failed"), kind="BeforeSuite"),
        ]
    )
    assert found == {"[sig-apps] a [Conformance]": "passed"}


def test_the_last_run_of_a_test_counts_and_being_left_out_is_no_run() -> None:
    name = "[sig-auth] a [Conformance]"
    runs = [report((name, state)) for state in ("skipped", "timedout", "passed", "skipped")]
    assert outcomes(runs) == {name: "passed"}
    assert outcomes(runs[:2]) == {name: "failed"}
    assert outcomes(runs[:1]) == {name: "not run"}


def test_a_row_per_area_and_one_for_all() -> None:
    found = {"[sig-auth] a": "passed", "[sig-auth] b": "not run", "[sig-apps] c": "failed"}
    assert table(found).splitlines() == [
        "| area | passed | failed | not run |",
        "|---|---:|---:|---:|",
        "| sig-apps | 0 | 1 | 0 |",
        "| sig-auth | 1 | 0 | 1 |",
        "| all | 1 | 1 | 1 |",
    ]
