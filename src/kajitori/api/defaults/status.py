"""The status of an object belongs to its controller: how it begins, and that an ordinary update cannot change it."""

from collections.abc import Callable
from copy import deepcopy

from kajitori.api.meta import Object


def begin_with(status: Object) -> Callable[[Object], None]:
    """A `prepare_create` that replaces what the client sent by the status of something new."""

    def prepare(obj: Object) -> None:
        obj["status"] = deepcopy(status)

    return prepare


def keep_status(new: Object, old: Object) -> None:
    """A `prepare_update` of the main endpoint."""
    if "status" in old:
        new["status"] = old["status"]
    else:
        new.pop("status", None)
