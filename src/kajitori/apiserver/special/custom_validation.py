"""A custom resource is judged by its schema, then by the rules (CEL) in it. Rules are compiled when first needed."""

from dataclasses import replace
from typing import TYPE_CHECKING

import orjson

from kajitori.api.field_errors import FieldError, invalid
from kajitori.api.meta import Object
from kajitori.api.resource import ScalePaths
from kajitori.api.schema import structural_validation
from kajitori.api.schema.embedded import embedded_errors, has_embedded
from kajitori.api.schema.ratcheting import ratcheted
from kajitori.api.schema.rules import has_rules
from kajitori.apiserver.aside import TakesLong, in_a_hurry
from kajitori.apiserver.special.scale_paths import scale_errors

if TYPE_CHECKING:
    from kajitori.api.cel.rules import Level

# After these, rules could not trust the form and size of the object.
_BLOCKING = frozenset(
    {
        "FieldValueNotSupported",
        "FieldValueRequired",
        "FieldValueTooLong",
        "FieldValueTooMany",
        "FieldValueTypeInvalid",
    }
)
_COMPILED_BYTES_MAX = 32 * 1024
"""Of a schema whose rules are compiled on the event loop."""
_UNCHECKED = (
    "some validation rules were not checked because the object was invalid; correct the existing errors to complete "
    "validation"
)


class CustomValidation:
    """Of one version of one definition, for as long as that is served."""

    def __init__(self, schema: Object, scale: ScalePaths | None = None) -> None:
        self._schema = schema
        self._scale = scale
        self._has_rules = has_rules(schema)
        self._has_embedded = has_embedded(schema)
        self._level: Level | None = None

    def validate(self, obj: Object) -> list[FieldError]:
        errors = structural_validation.validate(self._schema, obj, lists=False)
        if self._scale is not None:
            errors += scale_errors(self._scale, obj)
        if self._has_embedded:
            errors += embedded_errors(self._schema, obj)
        errors += structural_validation.repetitions(self._schema, obj)
        return errors + self._rule_errors(obj, None, errors) if self._has_rules else errors

    def revalidate(self, new: Object, old: Object) -> list[FieldError]:
        """On a change: what it leaves as it was does not count, except of objects inside."""
        errors = structural_validation.validate(self._schema, new, lists=False)
        if errors:
            errors = ratcheted(errors, self._schema, new, old)
        if self._scale is not None:
            errors += scale_errors(self._scale, new)
        if self._has_embedded:
            errors += embedded_errors(self._schema, new)
        errors += self._new_repetitions(new, old)
        return errors + self._rule_errors(new, old, errors) if self._has_rules else errors

    def revalidate_status(self, new: Object, old: Object) -> list[FieldError]:
        """On a change of the status, which is all that the schema judges then."""
        errors: list[FieldError] = []
        schema = (self._schema.get("properties") or {}).get("status")
        if schema is not None and "status" in new:
            errors = structural_validation.validate(schema, new["status"], lists=False)
            errors = ratcheted(errors, schema, new["status"], old.get("status")) if errors else errors
            errors = [replace(error, field=_below("status", error.field)) for error in errors]
        if self._scale is not None:
            errors += scale_errors(self._scale, new, status_only=True)
        errors += self._new_repetitions(new, old)
        return errors + self._rule_errors(new, old, errors) if self._has_rules else errors

    def _new_repetitions(self, new: Object, old: Object) -> list[FieldError]:
        """An object that had some may keep having them."""
        found = structural_validation.repetitions(self._schema, new)
        return found if found and not structural_validation.repetitions(self._schema, old) else []

    def _rule_errors(self, new: Object, old: Object | None, before: list[FieldError]) -> list[FieldError]:
        if any(error.reason in _BLOCKING for error in before):
            return [invalid("<nil>", None, _UNCHECKED)]
        from kajitori.api.cel import rules
        from kajitori.api.cel.errors import PATIENCE, Unfinished

        hurried = in_a_hurry()
        if self._level is None:
            if hurried and len(orjson.dumps(self._schema)) > _COMPILED_BYTES_MAX:
                raise TakesLong
            self._level = rules.compile_levels(self._schema)
        if self._level is None or not hurried:
            return [] if self._level is None else rules.validate(self._level, new, old)
        try:
            return rules.validate(self._level, new, old, patience=PATIENCE)
        except Unfinished:
            raise TakesLong from None


def _below(path: str, field: str) -> str:
    return path if field in ("", "<nil>") else f"{path}.{field.removeprefix('.')}"
