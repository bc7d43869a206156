"""In a process of its own: what is collected is everybody's business."""

import subprocess
import sys
from textwrap import dedent

PRELUDE = """
    import gc, weakref
    from kajitori.kit.clock import VirtualClock
    from kajitori.kit.garbage import THOROUGH_EVERY_S, ShortCollections

    class Cycle:
        def __init__(self):
            self.itself = self

    class Clock(VirtualClock):
        later_s = 0.0

        def monotonic(self):
            return super().monotonic() + self.later_s

    clock = Clock()
    ShortCollections(clock).start()
    looked_at = lambda: len(gc.get_objects())
    before = looked_at()
"""


def run(script: str) -> None:
    done = subprocess.run([sys.executable, "-c", dedent(PRELUDE) + dedent(script)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_outlives_a_full_collection_is_not_looked_at_again() -> None:
    run("""
        held = [Cycle() for _ in range(5_000)]
        assert looked_at() - before >= 5_000
        gc.collect()
        assert looked_at() - before < 1_000
    """)


def test_new_cycles_are_found_and_old_objects_are_freed_without_being_looked_at() -> None:
    run("""
        class Plain:
            pass

        old, new = Plain(), Cycle()
        gc.collect()
        old_is, new_is = weakref.ref(old), weakref.ref(Cycle())
        del old
        assert old_is() is None
        gc.collect()
        assert new_is() is None
    """)


def test_cycles_of_old_objects_are_found_after_a_while() -> None:
    run("""
        old = Cycle()
        gc.collect()
        old_is = weakref.ref(old)
        del old
        gc.collect()
        assert old_is() is not None
        clock.later_s = THOROUGH_EVERY_S
        gc.collect()
        assert old_is() is None
        assert looked_at() - before < 1_000
    """)
