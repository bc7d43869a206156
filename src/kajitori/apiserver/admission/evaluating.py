"""A scene before expressions: the values of their variables, and an authorizer that may have to be asked."""

import asyncio
from collections.abc import Mapping
from typing import Any

from kajitori.api.cel.costs import CALL_LIMIT
from kajitori.api.cel.errors import PATIENCE, Unfinished
from kajitori.api.cel.library.authorizer import Answer, Answers, Query, Undecided, decided
from kajitori.api.cel.library.authorizer import Authorizer as AuthorizerValue
from kajitori.api.expressions.compiled import Expression
from kajitori.api.expressions.declarations import (
    AUTHORIZER,
    NAMESPACE,
    OBJECT,
    OLD_OBJECT,
    PARAMS,
    REQUEST,
    REQUEST_RESOURCE,
)
from kajitori.api.expressions.evaluation import Evaluation, Outcome
from kajitori.api.meta import Object
from kajitori.apiserver.admission.scene import Scene
from kajitori.apiserver.interfaces import Attributes, User, Verdict
from kajitori.apiserver.interfaces import decided as verdict_of

_LEAST = 100
"""What every expression takes of the loop's time, in units of cost: there may be thousands."""
_NAMESPACE_METADATA = (
    "name",
    "generateName",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "finalizers",
)


class Asking:
    """Evaluates within a budget, and asks the authorizer between two attempts; answers are remembered in the scene.
    What takes long is evaluated in another thread."""

    def __init__(self, scene: Scene, own: Mapping[str, Expression], budget: int) -> None:
        self._scene = scene
        self._answers: Answers = scene.answers
        self._evaluation = Evaluation(_seen(scene), own, budget)
        self._spent = 0

    async def of(self, expression: Expression) -> Outcome:
        """Raises OutOfBudget."""
        self._evaluation.limit = PATIENCE
        try:
            outcome = await decided(lambda: self._evaluation.of(expression), self._answers, self._ask)
        except Unfinished:
            outcome = await self._of_dear(expression)
        else:
            self._spent += max(self._evaluation.cost, _LEAST)
        if self._spent > PATIENCE:
            self._spent = 0
            await asyncio.sleep(0)  # a turn of the loop, no time
        return outcome

    async def _of_dear(self, expression: Expression) -> Outcome:
        self._evaluation.limit = CALL_LIMIT
        while True:
            try:
                return await asyncio.to_thread(self._evaluation.of, expression)
            except Undecided as waiting:
                self._answers[waiting.query] = await self._ask(waiting.query)

    async def _ask(self, query: Query) -> Answer:
        verdict, reason = await verdict_of(self._scene.around.authorizer, _attributes(self._scene.request.user, query))
        return Answer(verdict is Verdict.ALLOW, reason)


def _seen(scene: Scene) -> dict[str, Any]:
    authorizer = AuthorizerValue(scene.answers)
    return {
        OBJECT: scene.object,
        OLD_OBJECT: scene.old,
        REQUEST: scene.asked,
        PARAMS: scene.params,
        NAMESPACE: _shown(scene.namespace) if scene.request.namespace else None,
        AUTHORIZER: authorizer,
        REQUEST_RESOURCE: authorizer.resource(_query(scene)),
    }


def _shown(namespace: Object | None) -> Object | None:
    """What of a Namespace expressions see."""
    if namespace is None:
        return None
    metadata = namespace["metadata"]
    kept = {name: metadata[name] for name in _NAMESPACE_METADATA if name in metadata}
    return {"metadata": kept, "spec": namespace.get("spec") or {}, "status": namespace.get("status") or {}}


def _query(scene: Scene) -> Query:
    request = scene.request
    resource = request.resource
    return Query(
        group=resource.group,
        resource=resource.plural,
        subresource=request.subresource,
        namespace=request.namespace,
        name=request.name,
    )


def _attributes(user: User, query: Query) -> Attributes:
    if query.service_account is not None:
        namespace, name = query.service_account
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
        user = User(f"system:serviceaccount:{namespace}:{name}", groups)
    if query.path:
        return Attributes(user, query.verb, path=query.path)
    return Attributes(
        user,
        query.verb,
        query.group,
        "*",
        query.resource,
        query.subresource,
        query.namespace,
        query.name,
        label_selector=query.label_selector,
        field_selector=query.field_selector,
    )
