"""What must hold of every answer."""

import base64
import gzip
import logging
import re
from dataclasses import dataclass, field

import orjson
import yaml

from bench.fuzz.asking import Asked
from bench.fuzz.documents import MARK
from bench.fuzz.served import Answer
from bench.fuzz.wires import broken_answer

BUSY_S_MAX = 1.0
"""Of processor time for one request: nobody else is served meanwhile."""

BY_DESIGN: tuple[tuple[int, str, str], ...] = (
    (500, "^resourceVersion should not be set on objects to be created$", "a plain error of upstream's storage"),
    (500, "^failed to create typed patch object", "server-side apply of what the schema does not know"),
    (500, "^failed to convert new object", "server-side apply of what the schema knows and the type does not"),
    (
        500,
        "unknown patch type|declared merge key|list element types|order in patch list|merging lists|^expected a \\[\\]",
        "a strategic patch against the schema",
    ),
    (500, "^strconv.ParseUint: parsing", "a plain error of upstream's storage too"),
    (500, "failed calling webhook|conversion webhook", "a webhook that has to be asked does not answer"),
    (
        503,
        "no endpoints available|no service port|not available|is unreachable|kubelet of node .* does not answer",
        "what is proxied to is not there",
    ),
    (504, "^Timeout: Too large resource version", "a revision that has not come yet"),
)
"""Status, message and why upstream answers so too. Every other answer from 500 on is a finding."""

_MARKS = tuple({MARK.encode(), *(base64.b64encode(b" " * n + MARK.encode())[4:-4] for n in range(3))})
_LINE = re.compile(rb"[A-Za-z0-9-]+: [^\x00-\x08\x0a-\x1f\x7f]*\Z")


@dataclass
class Judge(logging.Handler):
    """Collects findings; as a log handler, what is logged."""

    findings: list[str] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    slowest: list[tuple[float, str]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    """Warnings in the log."""

    def __post_init__(self) -> None:
        super().__init__(logging.DEBUG)

    __hash__ = object.__hash__

    def emit(self, record: logging.LogRecord) -> None:
        text = logging.Formatter().format(record)
        if record.levelno >= logging.ERROR:
            self.findings.append(f"logged: {text}")
        elif record.levelno >= logging.WARNING:
            self.told.append(text)
        if any(mark in text.encode("utf-8", "replace") for mark in _MARKS):
            self.findings.append(f"a secret is logged: {text}")

    def judge(self, asked: Asked, answer: Answer) -> None:
        for finding in self._faults(asked, answer):
            self.findings.append(f"{finding}\n  {asked.identity}: {asked.wire[:1500]!r}\n  -> {answer.wire[:600]!r}")
        self.slowest = sorted([*self.slowest, (answer.busy_s, repr(asked.wire[:300]))], reverse=True)[:5]

    def _faults(self, asked: Asked, answer: Answer) -> list[str]:
        faults = []
        if answer.busy_s > BUSY_S_MAX:
            faults.append(f"held the processor for {answer.busy_s:.1f} s")
        head, _, body = answer.wire.partition(b"\r\n\r\n")
        if head.startswith(b"HTTP/1.1 100"):
            head, _, body = body.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        for line in lines if b"\r\nUpgrade: websocket" in asked.wire else ():
            if line.lower().startswith(b"content-length:"):  # when it is declined, frames are read as requests
                body = body[: int(line.partition(b":")[2])]
        if b"Content-Encoding: gzip" in lines:
            body = gzip.decompress(body)
        if not first.startswith(b"HTTP/1.1 "):
            return [*faults, "no answer" if not answer.over else "hung up without an answer"]
        status = int(first.split()[1])
        if status == 101 and (broken := broken_answer(body)):
            faults.append(broken)
        self.statuses[status] = self.statuses.get(status, 0) + 1
        faults += [f"a broken header line {line!r}" for line in lines if not _LINE.match(line)]
        if not asked.reads_secrets and any(mark in head + body for mark in _MARKS):
            faults.append("a secret is told")
        if status >= 400:
            faults += _refusal(asked, status, lines, body)
        return faults


def _refusal(asked: Asked, status: int, lines: list[bytes], body: bytes) -> list[str]:
    if asked.method == "HEAD" or (status == 412 and not body):  # as a file that has not changed
        return []
    kind = next((line.lower() for line in lines if line.lower().startswith(b"content-type: ")), b"")
    if not kind.startswith((b"content-type: application/json", b"content-type: application/yaml")):
        text = body.decode("utf-8", "replace")
        plain = status == 404 or not asked.target.startswith("/api")
        return [] if plain or _by_design(status, text) else [f"{status} without a Status"]
    try:
        document = orjson.loads(body) if b"json" in kind else yaml.safe_load(body)
    except (orjson.JSONDecodeError, yaml.YAMLError) as error:
        return [f"{status} with a body that cannot be read: {error}"]
    if (document.get("kind"), document.get("apiVersion"), document.get("status")) != ("Status", "v1", "Failure"):
        return [f"{status} without a Status"]
    faults = []
    if document.get("code") != status:
        faults.append(f"code {document.get('code')} in an answer with status {status}")
    if not document.get("message"):
        faults.append("no message")
    if not document.get("reason") and status < 500:
        faults.append("no reason")
    if status >= 500 and not _by_design(status, document.get("message", "")):
        faults.append(f"{status}: {document.get('message', '')[:200]}")
    return faults


def _by_design(status: int, message: str) -> bool:
    return any(status == known and re.search(pattern, message) for known, pattern, _ in BY_DESIGN)
