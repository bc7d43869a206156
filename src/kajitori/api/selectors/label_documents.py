"""Selectors that objects carry: metav1.LabelSelector, plain maps, node selector requirements."""

from collections.abc import Mapping
from typing import Any

from kajitori.api.errors import BadRequest
from kajitori.api.meta import Object
from kajitori.api.selectors.requirements import (
    DOES_NOT_EXIST,
    EXISTS,
    IN,
    NOT_IN,
    NOTHING,
    LabelSelector,
    Requirement,
    checked,
)


def from_label_selector(document: Object | None) -> LabelSelector:
    """A metav1.LabelSelector. None selects nothing, an empty one everything; raises BadRequest."""
    if document is None:
        return NOTHING
    requirements = [
        Requirement(key, IN, (value,)) for key, value in sorted((document.get("matchLabels") or {}).items())
    ]
    for expression in document.get("matchExpressions") or ():
        requirements.append(_expression(expression))
    return LabelSelector(tuple(requirements))


def from_label_set(labels: Mapping[str, str] | None) -> LabelSelector:
    """A plain map, as a Service's or a ReplicationController's selector is."""
    return LabelSelector(tuple(Requirement(key, IN, (value,)) for key, value in sorted((labels or {}).items())))


def _expression(expression: Object) -> Requirement:
    key, operator = expression.get("key", ""), expression.get("operator", "")
    if operator in (EXISTS, DOES_NOT_EXIST):
        return Requirement(key, operator)
    if operator not in (IN, NOT_IN):
        raise BadRequest(f'"{operator}" is not a valid label selector operator')
    try:
        return checked(key, operator, expression.get("values") or ())
    except ValueError as error:
        raise BadRequest(str(error)) from None


def node_selector_requirement(expression: Mapping[str, Any]) -> Requirement:
    """A core/v1 NodeSelectorRequirement, which also knows Gt and Lt. Its values are not checked: the API did."""
    return Requirement(expression["key"], expression["operator"], tuple(sorted(set(expression.get("values") or ()))))
