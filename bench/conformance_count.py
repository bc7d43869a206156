"""Reads Ginkgo JSON reports of a conformance run and prints passed, failed and not run per area, as a Markdown table.

Several reports are one result: a test counts with its last state in which it ran, in the order the reports are given.
`--failed` names the failed tests instead.
"""

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

CONFORMANCE = "Conformance"
AREA = re.compile(r"\[(sig-[a-z-]+)\]")
NOT_RUN = "not run"
OUTCOMES = ("passed", "failed", NOT_RUN)
# https://pkg.go.dev/github.com/onsi/ginkgo/v2/types#SpecState; any other state is a failure.
OUTCOME_OF_STATE = {"passed": "passed", "skipped": NOT_RUN, "pending": NOT_RUN}


def outcomes(reports: Iterable[list[dict[str, Any]]]) -> dict[str, str]:
    """The outcome of each conformance test, by its full name."""
    found: dict[str, str] = {}
    for report in reports:
        for name, state in _conformance_tests(report):
            outcome = OUTCOME_OF_STATE.get(state, "failed")
            if outcome != NOT_RUN or name not in found:
                found[name] = outcome
    return found


def _conformance_tests(report: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for suite in report:
        for spec in suite.get("SpecReports") or []:
            if spec["LeafNodeType"] != "It":
                continue
            name = " ".join([*(spec.get("ContainerHierarchyTexts") or []), spec["LeafNodeText"]])
            if f"[{CONFORMANCE}]" in name:
                yield name, spec["State"]


def table(found: dict[str, str]) -> str:
    counts = Counter((_area(name), outcome) for name, outcome in found.items())
    areas = sorted({area for area, _ in counts})
    rows = [[area, *(counts[area, outcome] for outcome in OUTCOMES)] for area in areas]
    rows.append(["all", *(sum(counts[area, outcome] for area in areas) for outcome in OUTCOMES)])
    lines = [f"| area | {' | '.join(OUTCOMES)} |", "|---|" + "---:|" * len(OUTCOMES)]
    return "\n".join([*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows)])


def _area(name: str) -> str:
    match = AREA.search(name)
    return match[1] if match else "other"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", nargs="+", type=Path, help="a JSON report Ginkgo wrote")
    parser.add_argument("--failed", action="store_true", help="name the failed tests instead")
    arguments = parser.parse_args()
    found = outcomes(json.loads(path.read_bytes()) for path in arguments.report)
    failed = sorted(name for name, outcome in found.items() if outcome == "failed")
    print("\n".join(failed) if arguments.failed else table(found))


if __name__ == "__main__":
    main()
