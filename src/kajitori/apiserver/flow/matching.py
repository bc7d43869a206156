"""Which requests a FlowSchema means (reference: FlowSchema, "rules")."""

from collections.abc import Sequence

from kajitori.api.meta import Object
from kajitori.apiserver.interfaces import Attributes, User

_ACCOUNT = "system:serviceaccount:"


def matches(spec: Object, asked: Attributes) -> bool:
    return any(_rule_matches(rule, asked) for rule in spec.get("rules") or ())


def distinguisher(spec: Object, asked: Attributes) -> str:
    """What tells one flow of a schema from the others: they share its seats fairly."""
    method = (spec.get("distinguisherMethod") or {}).get("type")
    if method == "ByUser":
        return asked.user.name
    return asked.namespace if method == "ByNamespace" else ""


def precedence(schema: Object) -> tuple[int, str]:
    """Schemas are tried in this order; the first that matches decides."""
    return schema["spec"].get("matchingPrecedence") or 1000, schema["metadata"]["name"]


def _rule_matches(rule: Object, asked: Attributes) -> bool:
    if not any(_is_meant(subject, asked.user) for subject in rule.get("subjects") or ()):
        return False
    if asked.resource:
        return any(_resource_matches(r, asked) for r in rule.get("resourceRules") or ())
    return any(_path_matches(r, asked) for r in rule.get("nonResourceRules") or ())


def _is_meant(subject: Object, user: User) -> bool:
    kind = subject.get("kind")
    if kind == "User":
        return (subject.get("user") or {}).get("name") in ("*", user.name)
    if kind == "Group":
        name = (subject.get("group") or {}).get("name")
        return name == "*" or name in user.groups
    account = subject.get("serviceAccount") or {}
    prefix = f"{_ACCOUNT}{account.get('namespace')}:"
    if kind != "ServiceAccount" or not user.name.startswith(prefix):
        return False
    return account.get("name") in ("*", user.name.removeprefix(prefix))


def _resource_matches(rule: Object, asked: Attributes) -> bool:
    resource = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
    return (
        _holds(rule.get("verbs"), asked.verb)
        and _holds(rule.get("resources"), resource)
        and _holds(rule.get("apiGroups"), asked.group)
        and (_holds(rule.get("namespaces"), asked.namespace) if asked.namespace else bool(rule.get("clusterScope")))
    )


def _path_matches(rule: Object, asked: Attributes) -> bool:
    if not _holds(rule.get("verbs"), asked.verb):
        return False
    return any(
        wanted in ("*", asked.path) or asked.path.startswith(wanted.removesuffix("*").rstrip("/") + "/")
        for wanted in rule.get("nonResourceURLs") or ()
    )


def _holds(wanted: Sequence[str] | None, value: str) -> bool:
    return wanted is not None and ("*" in wanted or value in wanted)
