"""Labels of nodes that have other names now, wherever pods, volumes and classes choose nodes by them."""

from collections.abc import Iterator

from kajitori.api.meta import Object
from kajitori.api.selectors import label_value_errors

_DEPRECATED = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
    "app.kubernetes.io/created-by": "deprecated since v1.9",
    "scheduler.alpha.kubernetes.io/preferAvoidPods": "deprecated since v1.22; use Taints and Tolerations instead",
    "node-role.kubernetes.io/master": 'use "node-role.kubernetes.io/control-plane" instead',
}


def deprecated_label(key: str) -> str:
    """What to use instead; empty where the label is in use."""
    return _DEPRECATED.get(key, "")


def term_warnings(path: str, term: Object, *, values_too: bool = False) -> Iterator[str]:
    """Of a term of a node selector."""
    for index, expression in enumerate(term.get("matchExpressions") or ()):
        at, key = f"{path}.matchExpressions[{index}]", expression.get("key", "")
        if why := deprecated_label(key):
            yield f"{at}.key: {key} is {why}"
        if values_too:
            for number, value in enumerate(expression.get("values") or ()):
                for problem in label_value_errors(value):
                    yield f"{at}.values[{number}]: {value} is invalid, {problem}"


def selector_warnings(path: str, selector: Object) -> Iterator[str]:
    """Of a label selector that is about nodes."""
    yield from term_warnings(path, selector)
    for key in selector.get("matchLabels") or ():
        if why := deprecated_label(key):
            yield f"{path}.matchLabels.{key}: {why}"


def runtime_class_warnings(new: Object, old: Object | None) -> list[str]:
    chosen = (new.get("scheduling") or {}).get("nodeSelector") or ()
    return [f"scheduling.nodeSelector: {why}" for key in chosen if (why := deprecated_label(key))]
