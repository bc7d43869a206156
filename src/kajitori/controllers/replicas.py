"""How many pods an owner wants, and what a number or a percentage of them makes."""

from kajitori.api.meta import Object


def replicas_of(owner: Object) -> int:
    replicas = owner["spec"].get("replicas")
    return 1 if replicas is None else int(replicas)


def resolve(value: int | str | None, total: int, *, up: bool) -> int:
    """An IntOrString: a number, or a percentage of `total`."""
    if value is None:
        return 0
    if isinstance(value, int):
        return value
    if not value.endswith("%"):
        raise ValueError(f"{value!r} is neither a number nor a percentage")
    share = int(value[:-1]) * total
    return -(-share // 100) if up else share // 100
