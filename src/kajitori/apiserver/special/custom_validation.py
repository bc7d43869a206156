"""A custom resource is judged by its schema, then by the rules (CEL) in it. Rules are compiled when first needed."""

from typing import TYPE_CHECKING

from kajitori.api.field_errors import FieldError, invalid
from kajitori.api.meta import Object
from kajitori.api.schema import structural_validation
from kajitori.api.schema.ratcheting import ratcheted
from kajitori.api.schema.rules import has_rules

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
_UNCHECKED = (
    "some validation rules were not checked because the object was invalid; correct the existing errors to complete "
    "validation"
)


class CustomValidation:
    """Of one version of one definition, for as long as that is served."""

    def __init__(self, schema: Object) -> None:
        self._schema = schema
        self._has_rules = has_rules(schema)
        self._level: Level | None = None

    def validate(self, obj: Object) -> list[FieldError]:
        errors = structural_validation.validate(self._schema, obj)
        return errors + self._rule_errors(obj, None, errors) if self._has_rules else errors

    def revalidate(self, new: Object, old: Object) -> list[FieldError]:
        """On a change: what it leaves as it was does not count."""
        errors = structural_validation.validate(self._schema, new)
        if errors:
            errors = ratcheted(errors, self._schema, new, old)
        return errors + self._rule_errors(new, old, errors) if self._has_rules else errors

    def _rule_errors(self, new: Object, old: Object | None, before: list[FieldError]) -> list[FieldError]:
        if any(error.reason in _BLOCKING for error in before):
            return [invalid("<nil>", None, _UNCHECKED)]
        from kajitori.api.cel import rules

        if self._level is None:
            self._level = rules.compile_levels(self._schema)
        return [] if self._level is None else rules.validate(self._level, new, old)
