"""Storage classes, attachments and CSI."""

from kajitori.api.field_errors import FieldError, forbidden, invalid, required, too_long
from kajitori.api.meta import Object
from kajitori.api.selectors import label_key_errors
from kajitori.api.validation.checks import (
    IMMUTABLE,
    Errors,
    distinct,
    driver_name,
    each,
    must,
    one_of,
    optional_one_of,
    same_as_before,
)
from kajitori.api.validation.formats import subdomain_errors
from kajitori.api.validation.resources import amount_not_negative
from kajitori.api.validation.volumes import inline_volume

_NODE_ID_MAX, _UPDATE_SECONDS_MIN = 256, 10
_PARAMETERS_MAX, _PARAMETERS_BYTES_MAX = 512, 256 * 1024
_FIXED_FIELDS = ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode")


def validate_storage_class(storage_class: Object) -> list[FieldError]:
    return list(_storage_class(storage_class))


def _storage_class(storage_class: Object) -> Errors:
    provisioner = storage_class.get("provisioner") or ""
    if not provisioner:
        yield required("provisioner")
    else:
        yield from must("provisioner", provisioner.lower(), label_key_errors(provisioner.lower()))
    yield from _parameters(storage_class)
    policy = storage_class.get("reclaimPolicy")
    yield from optional_one_of("reclaimPolicy", policy, ("Delete", "Retain"))
    mode = storage_class.get("volumeBindingMode")
    if mode is None:
        yield required("volumeBindingMode")
    else:
        yield from one_of("volumeBindingMode", mode, ("Immediate", "WaitForFirstConsumer"))
    seen: list[dict[str, list[str]]] = []
    for index, term in enumerate(storage_class.get("allowedTopologies") or ()):
        path = f"allowedTopologies[{index}].matchLabelExpressions"
        yield from _topology(path, term)
        said = {e.get("key") or "": sorted(set(e.get("values") or ())) for e in term.get("matchLabelExpressions") or ()}
        if not said or said in seen:
            yield FieldError("FieldValueDuplicate", path, "")
        seen.append(said)


def _topology(path: str, term: Object) -> Errors:
    keys: set[str] = set()
    for index, expression in enumerate(term.get("matchLabelExpressions") or ()):
        at, key, values = f"{path}[{index}]", expression.get("key") or "", expression.get("values") or ()
        if not values:
            yield required(f"{at}.values")
        yield from distinct((f"{at}.values[{place}]", value) for place, value in enumerate(values))
        yield from must(f"{at}.key", key, label_key_errors(key))
        if key in keys:
            yield FieldError("FieldValueDuplicate", f"{at}.key", key)
        keys.add(key)


def _parameters(holder: Object) -> Errors:
    parameters = holder.get("parameters") or {}
    if len(parameters) > _PARAMETERS_MAX:
        yield too_long("parameters", "Provisioner Parameters exceeded max allowed", _PARAMETERS_MAX)
        return
    for key in parameters:
        if not key:
            yield invalid("parameters", key, "field can not be empty.")
    if sum(len(k) + len(v) for k, v in parameters.items()) > _PARAMETERS_BYTES_MAX:
        yield too_long("parameters", "", _PARAMETERS_BYTES_MAX)


def validate_storage_class_update(new: Object, old: Object) -> list[FieldError]:
    return [
        invalid(field, new.get(field), IMMUTABLE)
        for field in _FIXED_FIELDS
        if (new.get(field) or None) != (old.get(field) or None)
    ]


def validate_attachment(attachment: Object) -> list[FieldError]:
    return list(_attachment(attachment.get("spec") or {}))


def _attachment(spec: Object) -> Errors:
    yield from driver_name("spec.attacher", spec.get("attacher") or "")
    source = spec.get("source") or {}
    inline, volume = source.get("inlineVolumeSpec"), source.get("persistentVolumeName")
    both = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
    if inline is None and volume is None:
        yield required("spec.source", both)
    elif inline is not None and volume is not None:
        yield forbidden("spec.source", both)
    elif volume is not None:
        if not volume:
            yield required("spec.source.persistentVolumeName", "must specify non empty persistentVolumeName")
        yield from must("spec.source.persistentVolumeName", volume, subdomain_errors(volume))
    elif inline is not None:
        yield from inline_volume("spec.source.inlineVolumeSpec", inline)
    node = spec.get("nodeName") or ""
    yield from must("spec.nodeName", node, subdomain_errors(node))


def validate_csi_driver(driver: Object) -> list[FieldError]:
    return list(_csi_driver(driver.get("spec") or {}))


def _csi_driver(spec: Object) -> Errors:
    for field in ("attachRequired", "podInfoOnMount", "storageCapacity"):
        if spec.get(field) is None:
            yield required(f"spec.{field}")
    policy = spec.get("fsGroupPolicy")
    yield from optional_one_of("spec.fsGroupPolicy", policy, ("File", "None", "ReadWriteOnceWithFSType"))
    audiences: set[str] = set()
    for request, at in each(spec, "tokenRequests", "spec"):
        audience = request.get("audience") or ""
        if audience in audiences:
            yield FieldError("FieldValueDuplicate", f"{at}.audience", audience)
        audiences.add(audience)
        seconds = request.get("expirationSeconds")
        if seconds is not None and seconds < 600:
            yield invalid(f"{at}.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")
        if seconds is not None and seconds > 1 << 32:
            detail = "may not specify a duration larger than 2^32 seconds"
            yield invalid(f"{at}.expirationSeconds", seconds, detail)
    for mode in spec.get("volumeLifecycleModes") or ():
        yield from one_of("spec.volumeLifecycleModes", mode, ("Persistent", "Ephemeral"))
    period = spec.get("nodeAllocatableUpdatePeriodSeconds")
    if period is not None and period < _UPDATE_SECONDS_MIN:
        detail = f"must be greater than or equal to {_UPDATE_SECONDS_MIN} seconds"
        yield invalid("spec.nodeAllocatableUpdatePeriodSeconds", period, detail)
    if spec.get("serviceAccountTokenInSecrets") is not None and not spec.get("tokenRequests"):
        detail = "serviceAccountTokenInSecrets is set but no tokenRequests are specified"
        yield invalid("spec.serviceAccountTokenInSecrets", spec["serviceAccountTokenInSecrets"], detail)


def validate_csi_node(node: Object) -> list[FieldError]:
    return list(_csi_node(node.get("spec") or {}))


def _csi_node(spec: Object) -> Errors:
    names: set[str] = set()
    for driver, at in each(spec, "drivers", "spec"):
        name = driver.get("name") or ""
        yield from driver_name(f"{at}.name", name)
        if name in names:
            yield FieldError("FieldValueDuplicate", f"{at}.name", name)
        names.add(name)
        node_id = driver.get("nodeID") or ""
        if not node_id:
            yield required(f"{at}.nodeID")
        if len(node_id) > _NODE_ID_MAX:
            yield invalid(f"{at}.nodeID", node_id, f"must be {_NODE_ID_MAX} characters or less")
        keys: set[str] = set()
        for key in driver.get("topologyKeys") or ():
            if not key:
                yield required(at)
            if key in keys:
                yield FieldError("FieldValueDuplicate", at, key)
            keys.add(key)
            yield from must(at, key, label_key_errors(key))
        count = (driver.get("allocatable") or {}).get("count")
        if count is not None and count < 0:
            yield invalid(f"{at}.allocatable.count", count, "must be greater than or equal to 0")


def validate_storage_capacity(capacity: Object) -> list[FieldError]:
    return list(_storage_capacity(capacity))


def _storage_capacity(capacity: Object) -> Errors:
    name = capacity.get("storageClassName") or ""
    yield from must("storageClassName", name, subdomain_errors(name))
    for field in ("capacity", "maximumVolumeSize"):
        if capacity.get(field) is not None:
            yield from amount_not_negative(field, capacity[field])


def validate_storage_capacity_update(new: Object, old: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    for field in ("nodeTopology", "storageClassName"):
        errors += same_as_before(field, new.get(field), old.get(field))
    return errors


def validate_attributes_class(attributes_class: Object) -> list[FieldError]:
    return list(_attributes_class(attributes_class))


def _attributes_class(attributes_class: Object) -> Errors:
    driver = attributes_class.get("driverName") or ""
    if not driver:
        yield required("driverName")
    else:
        yield from must("driverName", driver.lower(), label_key_errors(driver.lower()))
    if not attributes_class.get("parameters"):
        yield required("parameters", "must contain at least one key/value pair")
    yield from _parameters(attributes_class)


def validate_attributes_class_update(new: Object, old: Object) -> list[FieldError]:
    return [
        forbidden(field, f"updates to {field} are forbidden.")
        for field in ("driverName", "parameters")
        if new.get(field) != old.get(field)
    ]
