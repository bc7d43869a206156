"""What documents may look like: decoding rules of the built-in kinds, structural schemas of the custom ones."""

from kajitori.api.schema.conform import conform, conform_definition, fill
from kajitori.api.schema.decode_errors import Undecodable
from kajitori.api.schema.definitions import definition_of
from kajitori.api.schema.strictness import duplicate_fields, patch_messages, strict_error, strict_messages

__all__ = [
    "Undecodable",
    "conform",
    "conform_definition",
    "definition_of",
    "duplicate_fields",
    "fill",
    "patch_messages",
    "strict_error",
    "strict_messages",
]
