"""Running a coroutine without a task as long as it does not wait.

Most reads are answered from memory: their coroutine ends on its first step, and a task (several microseconds and one
turn of the event loop) would be the larger part of the work. One that does wait is carried on inside a task.
Code that runs before the first wait has no current task, so it may not use `asyncio.timeout` or a TaskGroup.
"""

import types
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


@types.coroutine
def carry_on(coroutine: Coroutine[Any, Any, T], yielded: Any) -> Generator[Any, Any, T]:
    """Await the rest of a coroutine whose first step gave `yielded`."""
    while True:
        try:
            try:
                sent = yield yielded
            except BaseException as error:
                yielded = coroutine.throw(error)
            else:
                yielded = coroutine.send(sent)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
