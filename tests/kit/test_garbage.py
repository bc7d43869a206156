"""In a process of its own: what is collected is everybody's business."""

import subprocess
import sys
from textwrap import dedent

PRELUDE = """
    import asyncio, gc, weakref
    from kajitori.kit.clock import VirtualClock
    from kajitori.kit.garbage import THOROUGH_AFTER_S, short_collections

    class Cycle:
        def __init__(self):
            self.itself = self

    clock, soon = VirtualClock(), []
    collections = short_collections(clock, soon.append)
    collections.__enter__()
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
        for plan in soon:
            plan()
        asyncio.run(clock.advance(THOROUGH_AFTER_S * 0.9))
        assert old_is() is not None
        asyncio.run(clock.advance(THOROUGH_AFTER_S * 0.2))
        assert old_is() is None
        assert looked_at() - before < 1_000
        assert len(soon) == 1
    """)


def test_in_the_end_python_is_left_as_it_was() -> None:
    run("""
        collections.__exit__(None, None, None)
        gc.collect()
        assert not soon and not gc.callbacks
    """)
