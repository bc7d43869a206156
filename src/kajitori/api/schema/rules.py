"""Where a schema has rules (CEL), without knowing the language."""

from kajitori.api.meta import Object

RULES = "x-kubernetes-validations"


def has_rules(schema: Object) -> bool:
    """At any depth."""
    if schema.get(RULES):
        return True
    children = [*(schema.get("properties") or {}).values(), schema.get("additionalProperties"), schema.get("items")]
    children += schema.get("allOf") or ()
    return any(has_rules(child) for child in children if isinstance(child, dict))
