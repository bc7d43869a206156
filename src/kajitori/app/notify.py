"""How a part tells the supervisor that it is ready, and dies with it."""

import ctypes
import os
import signal

from kajitori.app.supervise import NOTIFY

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """SIGTERM when the supervisor ends, however it ends. Only for a process that a supervisor started."""
    if NOTIFY not in os.environ:
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    os.set_inheritable(int(os.environ[NOTIFY]), False)


def notify_ready() -> None:
    """Say it once; later calls do nothing."""
    if descriptor := os.environ.pop(NOTIFY, None):
        os.write(int(descriptor), b"ready\n")
        os.close(int(descriptor))
