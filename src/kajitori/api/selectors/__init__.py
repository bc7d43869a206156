"""Label and field selectors: read from queries and documents, matched against objects."""

from kajitori.api.selectors.fields import FieldRequirement, FieldSelector, parse_field_selector
from kajitori.api.selectors.label_documents import from_label_selector, from_label_set, node_selector_requirement
from kajitori.api.selectors.label_query import parse_label_selector
from kajitori.api.selectors.label_syntax import label_key_errors, label_value_errors
from kajitori.api.selectors.requirements import (
    DOES_NOT_EXIST,
    EVERYTHING,
    EXISTS,
    GREATER_THAN,
    IN,
    LESS_THAN,
    NOT_IN,
    NOTHING,
    LabelSelector,
    Requirement,
)

__all__ = [
    "DOES_NOT_EXIST",
    "EVERYTHING",
    "EXISTS",
    "GREATER_THAN",
    "IN",
    "LESS_THAN",
    "NOTHING",
    "NOT_IN",
    "FieldRequirement",
    "FieldSelector",
    "LabelSelector",
    "Requirement",
    "from_label_selector",
    "from_label_set",
    "label_key_errors",
    "label_value_errors",
    "node_selector_requirement",
    "parse_field_selector",
    "parse_label_selector",
]
