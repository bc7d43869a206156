"""What the API answers when it refuses: one exception for each reason of metav1.Status.

    StatusError
      BadRequest 400, Unauthorized 401, Forbidden 403, NotFound 404, MethodNotAllowed 405, NotAcceptable 406,
      AlreadyExists 409, Conflict 409, Expired 410, RequestEntityTooLarge 413, UnsupportedMediaType 415, Invalid 422,
      TooManyRequests 429, InternalError 500, ServiceUnavailable 503, Timeout 504

The same classes are raised by the server and, from an answer, by the client (`from_status`).
"""

from collections.abc import Iterable
from typing import Any, ClassVar

from kajitori.api.field_errors import FieldError
from kajitori.api.meta import Object


class StatusError(Exception):
    """An answer of kind Status. `details` is metav1.StatusDetails as a document."""

    code: ClassVar[int] = 500
    reason: ClassVar[str] = ""
    _by_reason: ClassVar[dict[str, type["StatusError"]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._by_reason.setdefault(cls.reason, cls)

    def __init__(self, message: str, details: Object | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        self.status_code = self.code
        self.status_reason = self.reason
        self.status_metadata: Object = {}

    def status(self) -> Object:
        document: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": self.status_metadata,
            "status": "Failure",
            "message": self.message,
        }
        if self.status_reason:
            document["reason"] = self.status_reason
        if self.details is not None:
            document["details"] = self.details
        document["code"] = self.status_code
        return document

    @staticmethod
    def from_status(status: Object) -> "StatusError":
        """The exception that a Status received from a server stands for."""
        kind = StatusError._by_reason.get(status.get("reason", ""), StatusError)
        error = kind.__new__(kind)
        StatusError.__init__(error, status.get("message", ""), status.get("details"))
        error.status_code = status.get("code", kind.code)
        error.status_reason = status.get("reason", kind.reason)
        error.status_metadata = status.get("metadata") or {}
        return error


class BadRequest(StatusError):
    code, reason = 400, "BadRequest"


class Unauthorized(StatusError):
    code, reason = 401, "Unauthorized"

    def __init__(self, message: str = "Unauthorized") -> None:
        super().__init__(message)


class Forbidden(StatusError):
    code, reason = 403, "Forbidden"


class MethodNotAllowed(StatusError):
    code, reason = 405, "MethodNotAllowed"


class NotAcceptable(StatusError):
    code, reason = 406, "NotAcceptable"


class RequestEntityTooLarge(StatusError):
    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(StatusError):
    code, reason = 415, "UnsupportedMediaType"


class Expired(StatusError):
    """The asked-for revision is no longer (or never was) known: list again."""

    code, reason = 410, "Expired"


class Gone(StatusError):
    code, reason = 410, "Gone"


class InternalError(StatusError):
    code, reason = 500, "InternalError"

    @classmethod
    def of(cls, why: str) -> "InternalError":
        return cls(f"Internal error occurred: {why}", {"causes": [{"message": why}]})


class ServiceUnavailable(StatusError):
    code, reason = 503, "ServiceUnavailable"


class Timeout(StatusError):
    code, reason = 504, "Timeout"

    @classmethod
    def too_large(cls, revision: int, current: int) -> "Timeout":
        """The asked-for revision has not been reached in time, and may never be: list again from nothing."""
        cause = {"reason": _TOO_LARGE, "message": "Too large resource version"}
        message = f"Timeout: Too large resource version: {revision}, current: {current}"
        return cls(message, {"causes": [cause], "retryAfterSeconds": 1})

    @property
    def is_too_large(self) -> bool:
        causes = (self.details or {}).get("causes") or ()
        return any(cause.get("reason") == _TOO_LARGE for cause in causes)


_TOO_LARGE = "ResourceVersionTooLarge"


class TooManyRequests(StatusError):
    """`retry_after_s` also travels as the Retry-After header."""

    code, reason = 429, "TooManyRequests"

    def __init__(self, message: str, retry_after_s: int = 1, details: Object | None = None) -> None:
        super().__init__(message, {**(details or {}), "retryAfterSeconds": retry_after_s})


def _qualified(group: str, resource: str) -> str:
    return f"{resource}.{group}" if group else resource


def _details(group: str, kind: str, name: str) -> Object:
    return {key: value for key, value in (("name", name), ("group", group), ("kind", kind)) if value}


class NotFound(StatusError):
    code, reason = 404, "NotFound"

    @classmethod
    def of(cls, group: str, plural: str, name: str) -> "NotFound":
        return cls(f'{_qualified(group, plural)} "{name}" not found', _details(group, plural, name))


class AlreadyExists(StatusError):
    code, reason = 409, "AlreadyExists"

    @classmethod
    def of(cls, group: str, plural: str, name: str) -> "AlreadyExists":
        return cls(f'{_qualified(group, plural)} "{name}" already exists', _details(group, plural, name))


class Conflict(StatusError):
    code, reason = 409, "Conflict"

    @classmethod
    def of(cls, group: str, plural: str, name: str, why: str) -> "Conflict":
        message = f'Operation cannot be fulfilled on {_qualified(group, plural)} "{name}": {why}'
        return cls(message, _details(group, plural, name))

    @classmethod
    def modified(cls, group: str, plural: str, name: str) -> "Conflict":
        why = "the object has been modified; please apply your changes to the latest version and try again"
        return cls.of(group, plural, name, why)


_TOLD_MAX, _TOLD_LENGTH_MAX = 1000, 1024 * 1024
"""Errors, and characters of their texts, that one answer tells: each may show a value as large as a request."""


def _bearable(errors: Iterable[FieldError]) -> list[FieldError]:
    """As many as one answer tells; at least one."""
    found: list[FieldError] = []
    length = 0
    for error in errors:
        if found and (length > _TOLD_LENGTH_MAX or len(found) >= _TOLD_MAX):
            break
        found.append(error)
        length += len(str(error))
    return found


class Invalid(StatusError):
    code, reason = 422, "Invalid"

    @classmethod
    def of(cls, group: str, kind: str, name: str, errors: Iterable[FieldError]) -> "Invalid":
        found = _bearable(errors)
        said = list(dict.fromkeys(str(e) for e in found))  # each once; the causes still count them all
        summary = f"[{', '.join(said)}]" if len(said) > 1 else said[0]
        details = _details(group, kind, name) | {"causes": [e.cause() for e in found]}
        return cls(f'{_qualified(group, kind)} "{name}" is invalid: {summary}', details)
