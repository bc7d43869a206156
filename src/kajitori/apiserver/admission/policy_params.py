"""The parameters of a policy: the objects that a binding's `paramRef` names or selects."""

from collections.abc import Sequence

import orjson

from kajitori.api.meta import Object, labels_of
from kajitori.api.resource import Resource
from kajitori.api.selectors import from_label_selector
from kajitori.apiserver.admission.scene import Surroundings
from kajitori.apiserver.documents import stored_resource


class BadConfiguration(Exception):
    """A policy or a binding that cannot be used as it is; the message says why."""


def kind_of_params(around: Surroundings, kind: Object | None) -> Resource | None:
    """None when the policy has no parameters. Raises BadConfiguration."""
    if kind is None:
        return None
    resource = around.registry.by_kind(kind.get("apiVersion", ""), kind.get("kind", ""))
    if resource is None:
        group, _, version = kind.get("apiVersion", "").rpartition("/")
        shown = f"{group}/{version}, Kind={kind.get('kind', '')}"
        raise BadConfiguration(f"failed to find resource referenced by paramKind: '{shown}'")
    return resource


async def params_of(
    around: Surroundings, resource: Resource | None, reference: Object | None, namespace: str
) -> Sequence[Object | None]:
    """One None where the policy is to be asked without parameters; nothing where it is not to be asked at all.

    `namespace` is the request's, which is where parameters are unless the binding says otherwise. Raises
    BadConfiguration.
    """
    if resource is None or reference is None:
        return [None]
    if resource.namespaced:
        namespace = reference.get("namespace") or namespace
        if not namespace:
            raise BadConfiguration(
                "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
            )
    elif reference.get("namespace"):
        raise BadConfiguration("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
    else:
        namespace = ""
    found = await _found(around, resource, reference, namespace)
    if not found and reference.get("parameterNotFoundAction") == "Deny":
        raise BadConfiguration("no params found for policy binding with `Deny` parameterNotFoundAction")
    return found


async def _found(around: Surroundings, resource: Resource, reference: Object, namespace: str) -> list[Object]:
    kept = stored_resource(resource) if resource.conversion is not None else resource
    if name := reference.get("name"):
        named = around.objects.cached(kept, name, namespace)
        chosen = [named] if named is not None else []
    else:
        selector = from_label_selector(reference.get("selector") or {})
        chosen = [obj for obj in around.objects.cached_list(kept, namespace) if selector.matches(labels_of(obj))]
    if resource.conversion is not None and chosen:
        shown = await resource.conversion.shown([orjson.dumps(obj) for obj in chosen], resource.api_version)
        return [orjson.loads(body) for body in shown]
    return [{"kind": resource.kind, "apiVersion": resource.api_version, **obj} for obj in chosen]
