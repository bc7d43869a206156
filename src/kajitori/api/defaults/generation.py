"""Kinds that count `metadata.generation` only in part; `counts_generation` is for all others."""

from kajitori.api.meta import Object


def begin_at_one(obj: Object) -> None:
    """A `prepare_create`: it never goes on."""
    obj["metadata"]["generation"] = 1


def count_from_nothing(new: Object, old: Object) -> None:
    """A `prepare_update`: the first change is number one."""
    if new.get("spec") != old.get("spec"):
        new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
