"""Events of both groups: one kind, and stricter the newer it is.

An event with an `eventTime` says who reports what, and what was done; one without is taken as it comes, but for its
namespace. Those of events.k8s.io have one. Fields are named as core/v1 does.
"""

from kajitori.api.conversions.events import to_core
from kajitori.api.errors import Invalid
from kajitori.api.field_errors import FieldError, invalid, required
from kajitori.api.meta import Object
from kajitori.api.selectors import label_key_errors
from kajitori.api.validation import immutability
from kajitori.api.validation.checks import Errors, must
from kajitori.api.validation.formats import subdomain_errors

_NOTE_BYTES_MAX, _NAME_BYTES_MAX = 1024, 128
_OLD_FIELDS = ("firstTimestamp", "lastTimestamp", "count")


def validate_event(event: Object) -> list[FieldError]:
    return list(_event(event, "reportingComponent"))


def prepare_event(event: Object) -> None:
    """Raises Invalid: of an event in core/v1 the name is looked at when all else is right."""
    if errors := validate_event(event):
        raise Invalid.of("", "Event", event["metadata"].get("name") or "", errors)


def validate_new_event(event: Object) -> list[FieldError]:
    """Of events.k8s.io."""
    core = to_core(event)
    return [*_event(core, "reportingController"), *_strict(core)]


def revalidate_new_event(new: Object, old: Object) -> list[FieldError]:
    """Of events.k8s.io: held to what all events say, and to the newer rules for a series that goes on."""
    event = to_core(new)
    errors = list(_event(event, "reportingController"))
    if new.get("series") != old.get("series"):
        errors += _series(event)
    return errors + immutability.validate_event_update(new, old)


def _event(event: Object, controller_field: str) -> Errors:
    namespace = event["metadata"].get("namespace") or ""
    of_object = (event.get("involvedObject") or {}).get("namespace")
    if event.get("eventTime"):
        if not of_object and namespace not in ("default", "kube-system"):
            yield _other_namespace("")
        yield from _reported(event, controller_field)
    elif (of_object or "default") != namespace and (of_object or namespace):
        yield _other_namespace(of_object or "")
    yield from must("namespace", namespace, subdomain_errors(namespace))


def _other_namespace(of_object: str) -> FieldError:
    return invalid("involvedObject.namespace", of_object, "does not match event.namespace")


def _reported(event: Object, controller_field: str) -> Errors:
    controller = event.get("reportingComponent") or ""
    if not controller:
        yield required(controller_field)
    yield from must(controller_field, controller, label_key_errors(controller))
    for field in ("reportingInstance", "action", "reason"):
        text = event.get(field) or ""
        if not text:
            yield required(field)
        yield from _bounded(field, text, _NAME_BYTES_MAX)
    yield from _bounded("message", event.get("message") or "", _NOTE_BYTES_MAX)


def _bounded(path: str, text: str, most: int) -> Errors:
    if len(text.encode()) > most:
        yield invalid(path, "", f"can have at most {most} characters")


def _series(event: Object) -> Errors:
    series = event.get("series")
    if series is not None:
        if series.get("count", 0) < 2:
            yield invalid("series.count", "", "should be at least 2")
        if not series.get("lastObservedTime"):
            yield required("series.lastObservedTime")


def _strict(event: Object) -> Errors:
    yield from _series(event)
    if not event.get("eventTime"):
        yield required("eventTime")
    kind = event.get("type") or ""
    if kind not in ("Normal", "Warning"):
        yield invalid("type", "", f"has invalid value: {kind}")
    for field in _OLD_FIELDS:
        if event.get(field):
            yield invalid(field, "", "needs to be unset")
    if any((event.get("source") or {}).values()):
        yield invalid("source", "", "needs to be unset")
