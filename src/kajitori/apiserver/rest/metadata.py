"""ObjectMeta: what is filled in, what is kept, and what is wrong with it (ValidateObjectMeta)."""

import random
from typing import Any

from kajitori.api.field_errors import FieldError, duplicate, forbidden, invalid, required, too_long
from kajitori.api.meta import Object
from kajitori.api.resource import Resource
from kajitori.api.validation.object_meta import (
    field_manager_errors,
    validate_annotations,
    validate_finalizers,
    validate_labels,
    validate_owners,
)
from kajitori.apiserver.rest.names import label_errors, name_errors

_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX_LENGTH = 5
_GENERATED_MAX = 63
_ANY_FINALIZER = {
    ("", "events"),
    *(
        ("admissionregistration.k8s.io", f"{when}{what}")
        for when in ("mutating", "validating")
        for what in ("admissionpolicies", "admissionpolicybindings", "webhookconfigurations")
    ),
    ("apiextensions.k8s.io", "customresourcedefinitions"),
    ("apiregistration.k8s.io", "apiservices"),
    ("coordination.k8s.io", "leases"),
    ("node.k8s.io", "runtimeclasses"),
    ("policy", "poddisruptionbudgets"),
}
"""Kinds of which upstream takes a finalizer without a domain that is none of the system's own."""
SYSTEM_FIELDS = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")
"""What only the server says: of a create it is dropped before anything else looks."""

_KEPT = (*SYSTEM_FIELDS, "generation")
_GRACE = "deletionGracePeriodSeconds"
_OF_DELETION = ("deletionTimestamp", _GRACE)
_SUBRESOURCE_BYTES_MAX = 256


def new_uid(rng: random.Random) -> str:
    """A version 4 UUID."""
    bits = rng.getrandbits(128) & ~(0xF000 << 64) & ~(0xC000 << 48) | (4 << 76) | (8 << 60)
    text = f"{bits:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def generated_name(base: str, rng: random.Random) -> str:
    suffix = [_SUFFIX_LETTERS[byte % len(_SUFFIX_LETTERS)] for byte in rng.randbytes(_SUFFIX_LENGTH)]
    return base[: _GENERATED_MAX - _SUFFIX_LENGTH] + "".join(suffix)


def fill_in(metadata: Object, namespace: str, uid: str, now: str) -> Object:
    """A new object's metadata: what only the server may say is said, and nothing else is believed. In the order in
    which it is stored: the name first."""
    name = metadata.pop("name", "")
    for field in (*_KEPT, "namespace", "resourceVersion", "managedFields"):
        metadata.pop(field, None)
    generate = metadata.pop("generateName", None)
    filled: Object = {"name": name}
    if generate:
        filled["generateName"] = generate
    if namespace:
        filled["namespace"] = namespace
    filled["uid"] = uid
    filled["creationTimestamp"] = now
    for key, value in metadata.items():
        if value or value == 0:
            filled[key] = value
    return filled


def keep_server_fields(new: Object, old: Object) -> None:
    """What an update may not change, and changes silently nothing of."""
    new_metadata, old_metadata = new["metadata"], old["metadata"]
    for field in _KEPT:
        if field in old_metadata:
            if field != _GRACE or new_metadata.get(field) is None:
                new_metadata[field] = old_metadata[field]
        elif field not in _OF_DELETION:  # a deletion that is only said is refused
            new_metadata.pop(field, None)
    if not new_metadata.get("generateName"):
        new_metadata.pop("generateName", None)


def said_of_deletion(metadata: Object) -> Object:
    return {field: metadata[field] for field in _OF_DELETION if field in metadata}


def validate(resource: Resource, metadata: Object) -> list[FieldError]:
    """In upstream's order: generateName, name, namespace, labels, annotations, ownerReferences, finalizers."""
    errors: list[FieldError] = []
    if generate := metadata.get("generateName"):
        errors += [invalid("metadata.generateName", generate, e) for e in name_errors(resource, generate, prefix=True)]
    name = metadata.get("name")
    if not name:
        errors.append(required("metadata.name", "name or generateName is required"))
    else:
        errors += [invalid("metadata.name", name, e) for e in name_errors(resource, name)]
    namespace = metadata.get("namespace") or ""
    if resource.namespaced:
        if not namespace:
            errors.append(required("metadata.namespace"))
        else:
            errors += [invalid("metadata.namespace", namespace, e) for e in label_errors(namespace, False)]
    elif namespace:
        errors.append(forbidden("metadata.namespace", "not allowed on this type"))
    if labels := metadata.get("labels"):
        errors += validate_labels(labels, "metadata.labels")
    if annotations := metadata.get("annotations"):
        errors += validate_annotations(annotations, "metadata.annotations")
    if owners := metadata.get("ownerReferences"):
        errors += validate_owners(owners, "metadata.ownerReferences")
    if finalizers := metadata.get("finalizers"):
        well_known = resource.schema is None and (resource.group, resource.plural) not in _ANY_FINALIZER
        errors += validate_finalizers(finalizers, "metadata.finalizers", well_known)
    for index, entry in enumerate(metadata.get("managedFields") or ()):
        at = f"metadata.managedFields[{index}]"
        errors += field_manager_errors(entry.get("manager") or "", f"{at}.manager")
        if len((entry.get("subresource") or "").encode()) > _SUBRESOURCE_BYTES_MAX:
            errors.append(too_long(f"{at}.subresource", "", _SUBRESOURCE_BYTES_MAX))
    return errors


def validate_update(resource: Resource, new: Object, old: Object) -> list[FieldError]:
    """What may not change of an object's metadata."""
    errors: list[FieldError] = []
    if old.get("deletionTimestamp"):
        held = set(old.get("finalizers") or ())
        added = sorted(set(new.get("finalizers") or ()) - held)
        if added:
            listed = ", ".join(f'"{name}"' for name in added)
            detail = "no new finalizers can be added if the object is being deleted, found new finalizers "
            errors.append(forbidden("metadata.finalizers", f"{detail}[]string{{{listed}}}"))
    for field in ("name", "namespace"):
        before, after = old.get(field) or "", new.get(field) or ""
        if before != after:
            errors.append(invalid(f"metadata.{field}", after, "field is immutable"))
    for field in _OF_DELETION:
        if new.get(field) != old.get(field):
            errors.append(invalid(f"metadata.{field}", new.get(field), "field is immutable"))
    return errors


def duplicates(values: list[Any], path: str) -> list[FieldError]:
    seen: set[Any] = set()
    errors = []
    for index, value in enumerate(values):
        if value in seen:
            errors.append(duplicate(f"{path}[{index}]", value))
        seen.add(value)
    return errors
