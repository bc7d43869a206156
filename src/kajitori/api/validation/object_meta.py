"""Labels, annotations, owners and finalizers: of every object, and of objects inside of custom resources."""

from kajitori.api.field_errors import FieldError, invalid, too_long
from kajitori.api.meta import Object
from kajitori.api.selectors import label_key_errors, label_value_errors
from kajitori.api.validation.formats import LABEL, LABEL_RULE

ANNOTATIONS_BYTES_MAX = 256 * 1024
_STANDARD_FINALIZERS = ("orphan", "foregroundDeletion", "kubernetes")
_NO_OWNERS = {("v1", "Event")}
_NAMESPACE_MAX = 63
FIELD_MANAGER_BYTES_MAX = 128


def validate_labels(labels: Object, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for key in sorted(labels):
        errors += [invalid(path, key, e) for e in label_key_errors(key)]
        errors += [invalid(path, labels[key], e) for e in label_value_errors(labels[key])]
    return errors


def validate_annotations(annotations: Object, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for key in sorted(annotations):
        errors += [invalid(path, key, e) for e in label_key_errors(key.lower())]
    if sum(len(k.encode()) + len(v.encode()) for k, v in annotations.items()) > ANNOTATIONS_BYTES_MAX:
        errors.append(too_long(path, "", ANNOTATIONS_BYTES_MAX))
    return errors


def validate_owners(owners: list[Object], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    controllers: list[str] = []
    at = path  # upstream does not say which
    for owner in owners:
        if not owner.get("apiVersion"):
            errors.append(invalid(f"{at}.apiVersion", owner.get("apiVersion", ""), "version must not be empty"))
        if not owner.get("kind"):
            errors.append(invalid(f"{at}.kind", "", "must not be empty"))
        if not owner.get("name"):
            errors.append(invalid(f"{at}.name", "", "must not be empty"))
        if not owner.get("uid"):
            errors.append(invalid(f"{at}.uid", "", "must not be empty"))
        if (owner.get("apiVersion"), owner.get("kind")) in _NO_OWNERS:
            shown = f"{owner['apiVersion']}, Kind={owner['kind']}"
            errors.append(invalid(at, owner, f"{shown} is disallowed from being an owner"))
        if owner.get("controller"):
            controllers.append(f"{owner.get('kind')}/{owner.get('name')}")
            if len(controllers) > 1:
                detail = (
                    'Only one reference can have Controller set to true. Found "true" in references for '
                    f"{controllers[0]} and {controllers[1]}"
                )
                errors.append(invalid(path, owners, detail))
    return errors


def validate_finalizers(finalizers: list[str], path: str, well_known: bool) -> list[FieldError]:
    """With `well_known`, a name without a domain must be one of the system's own."""
    errors: list[FieldError] = []
    for index, finalizer in enumerate(finalizers):
        at = f"{path}[{index}]"
        errors += [invalid(path, finalizer, e) for e in label_key_errors(finalizer)]
        if well_known and "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
            detail = "name is neither a standard finalizer name nor is it fully qualified"
            errors.append(invalid(at, finalizer, detail))
    if "orphan" in finalizers and "foregroundDeletion" in finalizers:
        detail = "finalizer orphan and foregroundDeletion cannot be both set"
        errors.append(invalid(path, finalizers, detail))
    return errors


def field_manager_errors(manager: str, path: str) -> list[FieldError]:
    """Of who a write or an entry of managedFields says it is."""
    errors: list[FieldError] = []
    encoded = manager.encode(errors="replace")
    if len(encoded) > FIELD_MANAGER_BYTES_MAX:
        errors.append(too_long(path, "", FIELD_MANAGER_BYTES_MAX))
    if manager.isprintable():
        return errors
    place = 0
    for character in manager:
        if not character.isprintable():
            errors.append(invalid(path, manager, f"invalid character U+{ord(character):04X} (at position {place})"))
        place += len(character.encode(errors="replace"))
    return errors


def embedded_metadata_errors(metadata: Object, path: str) -> list[FieldError]:
    """Of an object inside of another: its name is that of a path's segment, and it may have a namespace."""
    errors: list[FieldError] = []
    for field, prefix in (("generateName", True), ("name", False)):
        name = metadata.get(field) or ""
        errors += [invalid(f"{path}.{field}", name, e) for e in path_segment_errors(name, prefix)]
    if namespace := metadata.get("namespace"):
        if len(namespace) > _NAMESPACE_MAX:
            errors.append(invalid(f"{path}.namespace", namespace, f"must be no more than {_NAMESPACE_MAX} bytes"))
        if not LABEL.fullmatch(namespace):
            errors.append(invalid(f"{path}.namespace", namespace, LABEL_RULE))
    if (generation := metadata.get("generation") or 0) < 0:
        errors.append(invalid(f"{path}.generation", generation, "must be greater than or equal to 0"))
    errors += validate_labels(metadata.get("labels") or {}, f"{path}.labels")
    errors += validate_annotations(metadata.get("annotations") or {}, f"{path}.annotations")
    errors += validate_owners(metadata.get("ownerReferences") or [], f"{path}.ownerReferences")
    return errors + validate_finalizers(metadata.get("finalizers") or [], f"{path}.finalizers", False)


def path_segment_errors(name: str, prefix: bool) -> list[str]:
    """Anything that can stand between two slashes of a path."""
    if not prefix and name in (".", ".."):
        return [f"may not be '{name}'"]
    return [f"may not contain '{mark}'" for mark in ("/", "%") if mark in name]
