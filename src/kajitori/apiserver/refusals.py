"""What somebody is told who may not, or who asks for what there is not."""

from typing import Any

from kajitori.api.errors import Forbidden, MethodNotAllowed, NotFound
from kajitori.apiserver.interfaces import Attributes


def forbidden(attributes: Attributes, reason: str = "") -> Forbidden:
    """The refusal of a request, whether or not its object exists."""
    details: dict[str, Any] = {"name": attributes.name, "group": attributes.group, "kind": attributes.resource}
    return Forbidden(forbidden_message(attributes, reason), {key: value for key, value in details.items() if value})


def forbidden_message(attributes: Attributes, reason: str = "") -> str:
    """`pods is forbidden: User "x" cannot list resource "pods" in API group "" in the namespace "default"`."""
    user, verb = attributes.user.name, attributes.verb
    if not attributes.is_resource:
        text = f'User "{user}" cannot {verb} path "{attributes.path}"'
        return f"forbidden: {text}" + (f": {reason}" if reason else "")
    plural = attributes.resource + (f"/{attributes.subresource}" if attributes.subresource else "")
    where = f'in the namespace "{attributes.namespace}"' if attributes.namespace else "at the cluster scope"
    group = attributes.group
    text = f'User "{user}" cannot {verb} resource "{plural}" in API group "{group}" {where}'
    qualified = f"{attributes.resource}.{group}" if group else attributes.resource
    subject = f'{qualified} "{attributes.name}"' if attributes.name else qualified
    return f"{subject} is forbidden: {text}" + (f": {reason}" if reason else "")


def method_not_allowed() -> MethodNotAllowed:
    return MethodNotAllowed("the server does not allow this method on the requested resource", {})


def no_such_resource() -> NotFound:
    return NotFound("the server could not find the requested resource", {})
