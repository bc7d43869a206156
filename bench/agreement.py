"""How far the API server's answers agree with upstream's, as a table in `docs/conformance.md`.

    python -m bench.agreement PROGRAM FILE...

PROGRAM replays recorded requests against a server (`PROGRAM --server URL --token T --show N FILE`) and ends with a line
`name: N cases; status S %, reason R %, causes C %, everything E %`. Program and recordings are not part of this
repository; the figures are written by this command alone, never by hand. It runs a control plane of its own in a
temporary folder.
"""

import argparse
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs/conformance.md"
BEGIN, END = "<!-- agreement: begin -->", "<!-- agreement: end -->"
_SUMMARY = re.compile(
    r"^(?P<file>\S+): (?P<cases>\d+) cases; status (?P<status>[\d.]+) %, reason (?P<reason>[\d.]+) %, "
    r"causes (?P<causes>[\d.]+) %, everything (?P<everything>[\d.]+) %$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of one recording: how many cases, and how many of a hundred agree up to each step."""

    name: str
    cases: int
    status: str
    reason: str
    causes: str
    everything: str

    @classmethod
    def of(cls, output: str) -> "Agreement":
        """From what the program printed. Raises ValueError."""
        found = _SUMMARY.search(output)
        if found is None:
            raise ValueError(f"no summary in: {output[-500:]!r}")
        name = re.sub(r"[-.]v?\d.*$", "", found["file"])
        return cls(name, int(found["cases"]), *(found[step] for step in ("status", "reason", "causes", "everything")))

    def row(self) -> str:
        steps = (self.status, self.reason, self.causes, self.everything)
        return f"| {self.name} | {self.cases} | " + " | ".join(f"{step} %" for step in steps) + " |"


def table(found: list[Agreement]) -> str:
    head = "| recording | cases | status | reason | causes | everything |\n|---|---|---|---|---|---|"
    return "\n".join([head, *(agreement.row() for agreement in found)])


def with_table(page: str, text: str) -> str:
    """The page with its table replaced."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


AS_RECORDED = (
    *("--disable", "scheduler,controllers"),
    *("--disable-admission-plugins", "ServiceAccount"),
    "--allow-privileged=false",
)
"""How upstream's server was started when its answers were recorded (the facts' README): alone. With controllers beside
it, one of them has written a status or not by the next step."""


@contextmanager
def control_plane() -> Iterator[tuple[str, str]]:
    """URL and an administrator's token of a control plane that lasts as long as the block."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
        probe.close()
        data_dir = f"{folder}/data"
        create = ("kubectl", "--namespace", "kube-system", "create")
        try:
            up = ("up", "--nodes", "0", "--store", "memory", "--port", port, "--detach", "--wait")
            _kajitori(data_dir, *up, *AS_RECORDED)
            _kajitori(data_dir, *create, "serviceaccount", "agreement")
            account = "--serviceaccount=kube-system:agreement"
            _kajitori(data_dir, *create, "clusterrolebinding", "agreement", "--clusterrole=cluster-admin", account)
            token = _kajitori(data_dir, *create, "token", "agreement", "--duration=1h").strip()
            yield f"https://127.0.0.1:{port}", token
        finally:
            _kajitori(data_dir, "down", "--purge")


def _kajitori(data_dir: str, *arguments: str) -> str:
    environment = os.environ | {"KAJITORI_DATA_DIR": data_dir}
    return _output(str(Path(sys.executable).with_name("kajitori")), *arguments, environment=environment)


def _output(*command: str, environment: Mapping[str, str] = os.environ) -> str:
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if result.returncode:
        sys.exit(f"agreement: {' '.join(command[:4])} failed: {result.stderr.strip()}")
    return result.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="replays a recording and prints how far the answers agree")
    parser.add_argument("files", nargs="+", help="recordings")
    parser.add_argument("--show", type=int, default=0, help="print this many disagreements of each recording")
    arguments = parser.parse_args()
    found = []
    with control_plane() as (server, token):
        for file in arguments.files:
            shown = ("--show", str(arguments.show), file)
            output = _output(arguments.program, "--server", server, "--token", token, *shown)
            print(output, end="", flush=True)
            found.append(Agreement.of(output))
    PAGE.write_text(with_table(PAGE.read_text(), table(found)))
    print(f"agreement: written into {PAGE}")


if __name__ == "__main__":
    main()
