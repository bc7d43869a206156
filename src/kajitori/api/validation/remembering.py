"""Documents that have been found valid once are not looked through again: the pods of one template are equal."""

from collections.abc import Callable
from functools import wraps
from hashlib import blake2b

import orjson

from kajitori.api.field_errors import FieldError
from kajitori.api.meta import Object

Check = Callable[[Object], list[FieldError]]


def remembering_valid(entries_max: int, bytes_max: int) -> Callable[[Check], Check]:
    """For a check that depends on its document alone. Valid documents are known by a digest that nobody can forge;
    longer ones are checked each time. The oldest makes room."""

    def decorate(check: Check) -> Check:
        valid: dict[bytes, None] = {}

        @wraps(check)
        def errors_of(document: Object) -> list[FieldError]:
            encoded = orjson.dumps(document)
            if len(encoded) > bytes_max:
                return check(document)
            digest = blake2b(encoded, digest_size=20).digest()
            if digest in valid:
                return []
            errors = check(document)
            if not errors:
                if len(valid) >= entries_max:
                    del valid[next(iter(valid))]
                valid[digest] = None
            return errors

        return errors_of

    return decorate
