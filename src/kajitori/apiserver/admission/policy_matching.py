"""From the policies that are bound to the questions that a request raises: which policy, binding and parameters."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from kajitori.api.errors import StatusError
from kajitori.api.meta import Object
from kajitori.api.resource import Resource
from kajitori.apiserver.admission.matching import namespace_of_request
from kajitori.apiserver.admission.policy_params import BadConfiguration, kind_of_params, params_of
from kajitori.apiserver.admission.policy_source import Binding, Policy, PolicySource
from kajitori.apiserver.admission.scene import Scene, Surroundings, namespace_of, scene_of
from kajitori.apiserver.interfaces import AdmissionRequest

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """A policy to be asked with one parameter. `error` instead: why that cannot be; without a binding, for any."""

    policy: Policy[T]
    binding: Binding | None
    version: Resource | None = None
    params: Object | None = None
    error: str = ""


class Matching(Generic[T]):
    """One request before all policies. Objects are converted to a version once."""

    def __init__(self, around: Surroundings, request: AdmissionRequest) -> None:
        self._around = around
        self._request = request
        self._scenes: dict[str, Scene] = {}
        self._answers: dict[Any, Any] = {}
        self._namespace: Object | None = None

    async def questions(self, source: PolicySource[T]) -> AsyncIterator[Question[T]]:
        self._namespace = await namespace_of(self._around.objects, self._request)
        for policy in source.bound:
            try:
                version = policy.criteria.version_of(self._request, self._namespace)
            except StatusError as error:
                yield Question(policy, None, error=f"failed to configure policy: {error.message}")
                continue
            if version is None:
                continue
            try:
                params = kind_of_params(self._around, policy.param_kind)
            except BadConfiguration as error:
                yield Question(policy, None, error=f"failed to configure policy: {error}")
                continue
            for binding in policy.bindings:
                async for question in self._bound(policy, binding, version, params):
                    yield question

    async def _bound(
        self, policy: Policy[T], binding: Binding, version: Resource, kind: Resource | None
    ) -> AsyncIterator[Question[T]]:
        try:
            if binding.criteria is not None and binding.criteria.version_of(self._request, self._namespace) is None:
                return
            namespace = namespace_of_request(self._request)
            for params in await params_of(self._around, kind, binding.spec.get("paramRef"), namespace):
                yield Question(policy, binding, version, params)
        except StatusError as error:
            yield Question(policy, binding, error=f"failed to configure binding: {error.message}")
        except BadConfiguration as error:
            yield Question(policy, binding, error=f"failed to configure binding: {error}")

    async def scene(self, question: Question[T], *, fresh: bool = False) -> Scene:
        """What the policy's expressions see. `fresh` where the request's object has changed meanwhile.

        Raises StatusError when the object cannot be converted.
        """
        assert question.version is not None
        if fresh:
            self._scenes.clear()
        found = self._scenes.get(question.version.api_version)
        if found is None:
            found = await scene_of(self._around, self._request, question.version, self._namespace)
            found.answers = self._answers
            self._scenes[question.version.api_version] = found
        return replace(found, params=question.params)
