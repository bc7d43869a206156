"""Objects by key and by any number of indexes; what an informer fills and reconcilers read."""

from collections.abc import Callable, Iterable, Iterator

from kajitori.api.meta import Object, ObjectKey

IndexFunction = Callable[[Object], Iterable[str]]
Objects = list[Object]
_ByKey = dict[ObjectKey, Object]


class ObjectStore:
    """Objects are shared with every reader and so must never be changed: an index finds an old entry by its object."""

    def __init__(self) -> None:
        self._objects: _ByKey = {}
        self._by_namespace: dict[str, _ByKey] = {}
        self._functions: dict[str, IndexFunction] = {}
        self._indexes: dict[str, dict[str, _ByKey]] = {}

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[ObjectKey]:
        return iter(self._objects)

    def get(self, key: ObjectKey) -> Object | None:
        return self._objects.get(key)

    def list(self, namespace: str | None = None) -> Objects:
        return list((self._objects if namespace is None else self._by_namespace.get(namespace, {})).values())

    def add_index(self, name: str, function: IndexFunction) -> None:
        """Adding the same index again does nothing; another function under a taken name is a ValueError."""
        taken = self._functions.get(name)
        if taken is not None:
            if taken != function:
                raise ValueError(f"index {name!r} exists with another function: choose another name")
            return
        self._functions[name] = function
        index = self._indexes[name] = {}
        for key, obj in self._objects.items():
            _enter(index, function(obj), key, obj)

    def by_index(self, name: str, value: str) -> Objects:
        return list(self._indexes[name].get(value, {}).values())

    def put(self, key: ObjectKey, obj: Object) -> Object | None:
        """Returns what stood there before."""
        old = self._objects.get(key)
        if old is not None:
            self._unindex(key, old)
        self._objects[key] = obj
        _enter(self._by_namespace, (key.namespace,), key, obj)
        for name, function in self._functions.items():
            _enter(self._indexes[name], function(obj), key, obj)
        return old

    def remove(self, key: ObjectKey) -> Object | None:
        """Returns what stood there."""
        old = self._objects.pop(key, None)
        if old is not None:
            _leave(self._by_namespace, (key.namespace,), key)
            self._unindex(key, old)
        return old

    def _unindex(self, key: ObjectKey, old: Object) -> None:
        for name, function in self._functions.items():
            _leave(self._indexes[name], function(old), key)


def _enter(index: dict[str, _ByKey], values: Iterable[str], key: ObjectKey, obj: Object) -> None:
    for value in values:
        index.setdefault(value, {})[key] = obj


def _leave(index: dict[str, _ByKey], values: Iterable[str], key: ObjectKey) -> None:
    for value in values:
        entries = index.get(value)
        if entries is not None:
            entries.pop(key, None)
            if not entries:
                del index[value]
