"""What a kind is: one value from which routing, discovery, OpenAPI, tables, RBAC and storage keys all follow."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

from kajitori.api.field_errors import FieldError
from kajitori.api.meta import Object

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a server-side table. `cell(object, now_s)` gives a string, number or None; priority 1: only wide."""

    name: str
    cell: Callable[[Object, float], Any]
    type: str = "string"
    format: str = ""
    priority: int = 0
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subresource:
    """`name` as in the path. Group, version and kind are what travels there; empty means the parent's own.

    `validate_update(new, old)`, where given, judges changes through this endpoint instead of the kind's own
    `validate_update`: what a pod's `resize` may change, its main endpoint may not.
    """

    name: str
    verbs: tuple[str, ...]
    kind: str = ""
    group: str = ""
    version: str = ""
    validate_update: Callable[[Object, Object], list[FieldError]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalePaths:
    """Where a kind keeps what `scale` shows. `selector` may be a metav1.LabelSelector, a map or a string."""

    spec_replicas: str = "spec.replicas"
    status_replicas: str = "status.replicas"
    selector: str = "spec.selector"


class Conversion(Protocol):
    """Versions of a kind that only somebody else (a webhook) can turn into one another. Both raise StatusError."""

    async def shown(self, bodies: Sequence[bytes], api_version: str) -> list[bytes]:
        """Stored documents with their resourceVersion, in whatever version they were stored, in the version asked."""

    async def stored(self, obj: Object) -> Object:
        """An object of any version in the one that is stored."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Resource:
    """A kind in one version, a key of dictionaries by identity. Hooks change the object they are given in place, and
    hold no state.

    - `default(obj)`: fill in what the user left out.
    - `validate(obj)`: every semantic error of a new object (the schema has been checked before).
    - `validate_update(new, old)`: errors of a change, immutability included; `validate` has been run on `new` before.
    - `revalidate(new, old)`: where given, instead of `validate` on a change: what was wrong before may be tolerated.
    - `stored_field_names`: where it is stored under another version: the selectable fields, and how that calls them.
      Of a custom resource, always: what its version declares, while the index has the fields of all versions.
    - `warnings(new, old)`: what is right, but not as it should be; `old` is None for a new object.
    - `prepare_create(obj)`: reset what a client may not set (status).
    - `begin_deletion(obj, now)`: what the first deletion adds to an object that never goes at once.
    - `prepare_update(new, old)`: keep what this endpoint may not change; counting `generation` is generic
      (any change outside metadata and status counts).
    """

    group: str
    version: str
    kind: str
    plural: str
    singular: str = ""
    list_kind: str = ""
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    subresources: tuple[Subresource, ...] = ()
    columns: Sequence[Column] = ()
    row_order: Callable[[Object], Any] | None = None
    """What the rows of a table are sorted by; without it they come as they are listed, by name."""
    scale: ScalePaths | None = None
    selectable_fields: Mapping[str, Callable[[Object], str]] = field(default_factory=dict)
    stored_field_names: Mapping[str, str] = field(default_factory=dict)
    default: Callable[[Object], None] | None = None
    validate: Callable[[Object], list[FieldError]] | None = None
    validate_update: Callable[[Object, Object], list[FieldError]] | None = None
    revalidate: Callable[[Object, Object], list[FieldError]] | None = None
    warnings: Callable[[Object, Object | None], list[str]] | None = None
    prepare_create: Callable[[Object], None] | None = None
    prepare_update: Callable[[Object, Object], None] | None = None
    begin_deletion: Callable[[Object, str], None] | None = None
    definition: str = ""
    """Name of the schema in the OpenAPI document, such as `io.k8s.api.apps.v1.Deployment`."""
    schema: Object | None = None
    """A custom resource's structural schema; None for a built-in kind, whose schema is found by `definition`."""
    stored_as: "Resource | None" = None
    """The version that is stored, when this one is converted from it (autoscaling/v1, events.k8s.io/v1)."""
    to_stored: Callable[[Object], Object] | None = None
    from_stored: Callable[[Object], Object] | None = None
    shown: Callable[[bytes], bytes] | None = None
    """`from_stored` for whole documents, where it remembers them."""
    conversion: Conversion | None = None
    """Where given, it does what `from_stored` and `to_stored` would do: they cannot wait."""
    deprecation: str = ""
    """What whoever uses this version is warned of."""
    counts_generation: bool = False
    """Whether metadata.generation is kept."""
    counts_annotations: bool = False
    """Whether it counts changes of annotations too: a Deployment's are copied to its replica sets."""

    weight_bytes: int = 0
    """What work on an object of this kind costs beside its own size, in bytes: a large schema is walked too."""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified_name(self) -> str:
        """`deployments.apps`, `pods`: how messages and RBAC name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def shown_as_stored(self) -> bool:
        """Whether the stored document is the answer as it is."""
        return self.stored_as is None and self.from_stored is None

    def has_subresource(self, name: str) -> bool:
        return name in _subresource_names(self)

    def validate_update_of(self, subresource: str) -> Callable[[Object, Object], list[FieldError]] | None:
        """What judges a change through an endpoint; "" is the object's own."""
        own = next((s.validate_update for s in self.subresources if s.name == subresource), None)
        return own or self.validate_update

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path of the collection, an object or its subresource."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        parts = [root]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part]
        return "/".join(parts)


@lru_cache(maxsize=1024)
def _subresource_names(resource: Resource) -> frozenset[str]:
    """Asked for several times in every request."""
    return frozenset(subresource.name for subresource in resource.subresources)


def forget_kinds() -> None:
    """Nothing here holds on to a kind that is served no more."""
    _subresource_names.cache_clear()
