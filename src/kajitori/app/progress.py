"""What the supervisor reports while a cluster starts: to the `up` that waits, or to the terminal itself."""

import os
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class Event(StrEnum):
    READY = "ready"
    """A part is ready; the text is its name."""
    ENDED = "ended"
    """A part ended before it was ready; the text is a sentence."""
    DONE = "done"
    """Every part is ready."""
    FAILED = "failed"
    """The cluster will not start; the text is what `up` fails with."""


class Reporter(Protocol):
    def __call__(self, event: Event, text: str = "") -> None: ...


class PipeReporter:
    """Tells a waiting `up`, which may be gone."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def __call__(self, event: Event, text: str = "") -> None:
        if self._descriptor is None:
            return
        try:
            os.write(self._descriptor, f"{event} {' '.join(text.split())}\n".encode())
        except OSError:
            event = Event.DONE
        if event is Event.DONE:
            os.close(self._descriptor)
            self._descriptor = None


def read_report(line: str) -> tuple[Event, str]:
    event, _, text = line.rstrip("\n").partition(" ")
    return Event(event), text


class TerminalReporter:
    """One readable line an event, on stderr."""

    def __init__(self, kubeconfig: Path, remark: str = "") -> None:
        self._kubeconfig = kubeconfig
        self._remark = remark
        self._began = time.monotonic()

    def __call__(self, event: Event, text: str = "") -> None:
        if event is Event.READY:
            self._print(f"{text} ready after {time.monotonic() - self._began:.1f} s")
        elif event is Event.DONE:
            self._print(f"kubeconfig: {self._kubeconfig}{self._remark}")
        else:
            self._print(f"kajitori: {text}" if event is Event.FAILED else text)

    def _print(self, line: str) -> None:
        try:
            print(line, file=sys.stderr, flush=True)  # noqa: T201 -- no click here: the supervisor stays small
        except OSError:
            return


class Silent:
    """A supervisor that nobody waits for."""

    def __call__(self, event: Event, text: str = "") -> None:
        return
