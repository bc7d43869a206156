"""pods/eviction: a deletion that respects PodDisruptionBudgets (policy/v1; KEP-85, KEP-3017 for unhealthy pods)."""

from collections.abc import Mapping

from kajitori.api import core, policy
from kajitori.api.errors import BadRequest, Forbidden, InternalError, TooManyRequests
from kajitori.api.meta import Object, is_deleting, labels_of, name_of, set_condition, uid_of
from kajitori.api.pods import is_ready, phase
from kajitori.api.resource import Resource
from kajitori.api.selectors import from_label_selector
from kajitori.api.times import timestamp
from kajitori.apiserver.authz.node import node_of
from kajitori.apiserver.http_types import Handler, HandlerKey, RequestContext, Response
from kajitori.apiserver.interfaces import Objects
from kajitori.apiserver.special.bodies import is_dry_run, only, read_part, success
from kajitori.kit.clock import Clock

EVICTION = Resource(
    group="policy", version="v1", kind="Eviction", plural="evictions", definition="io.k8s.api.policy.v1.Eviction"
)
_VIOLATES = "Cannot evict pod as it would violate the pod's disruption budget."
_PROCESSING_RETRY_S = 10
_DISRUPTED_MAX = 2000
_TWO_BUDGETS = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."


class Evictions:
    def __init__(self, objects: Objects, clock: Clock) -> None:
        self._objects = objects
        self._clock = clock

    def handlers(self) -> Mapping[HandlerKey, Handler]:
        return {("", "pods", "eviction"): self._evict}

    async def _evict(self, context: RequestContext) -> Response:
        only(context, "POST")
        eviction = await read_part(context, EVICTION, self._objects)
        if name_of(eviction) != context.name:
            raise BadRequest("name in URL does not match name in Eviction object")
        options = eviction.get("deleteOptions") or {}
        dry_run = is_dry_run(context) or "All" in (options.get("dryRun") or ())
        pod = await self._objects.get(core.POD, context.name, context.namespace)
        _check_node(context, pod)
        if not _ignores_budgets(pod):
            await self._spend(pod, dry_run)
        if not dry_run:
            await self._delete(pod, options)
        return success(context)

    async def _spend(self, pod: Object, dry_run: bool) -> None:
        """Take one disruption from the pod's budget, if it has one. Raises TooManyRequests when there is none left."""
        namespace = pod["metadata"]["namespace"]
        budgets = [
            budget
            for budget in self._objects.cached_list(policy.POD_DISRUPTION_BUDGET, namespace)
            if from_label_selector((budget.get("spec") or {}).get("selector")).matches(labels_of(pod))
        ]
        if len(budgets) > 1:
            raise InternalError(_TWO_BUDGETS)
        for budget in budgets:
            now = timestamp(self._clock.now())

            def change(found: Object, now: str = now) -> Object:
                return found if _may_go_unhealthy(pod, found) else spend(found, name_of(pod), now)

            name = name_of(budget)
            if dry_run:
                change(await self._objects.get(policy.POD_DISRUPTION_BUDGET, name, namespace))
            else:
                await self._objects.update(policy.POD_DISRUPTION_BUDGET, name, namespace, change)

    async def _delete(self, pod: Object, options: Object) -> None:
        name, namespace = name_of(pod), pod["metadata"]["namespace"]
        now = timestamp(self._clock.now())

        def mark(found: Object) -> Object:
            condition = {
                "type": "DisruptionTarget",
                "status": "True",
                "lastProbeTime": None,
                "reason": "EvictionByEvictionAPI",
                "message": "Eviction API: evicting",
            }
            set_condition(found.setdefault("status", {}).setdefault("conditions", []), condition, now)
            return found

        await self._objects.update(core.POD, name, namespace, mark)
        preconditions = options.get("preconditions") or {}
        await self._objects.delete(
            core.POD,
            name,
            namespace,
            uid=preconditions.get("uid") or uid_of(pod),
            grace_period_s=options.get("gracePeriodSeconds"),
        )


def _check_node(context: RequestContext, pod: Object) -> None:
    """NodeRestriction, which plain writes meet in admission."""
    node = node_of(context.user)
    if node and pod["spec"].get("nodeName") != node:
        why = f"node {node} can only evict pods with spec.nodeName set to itself"
        raise Forbidden(f'pods "{context.name}" is forbidden: {why}')


def _ignores_budgets(pod: Object) -> bool:
    """Its going hurts nobody: it is over, has not begun, or is going already."""
    return phase(pod) in ("Succeeded", "Failed", "Pending") or is_deleting(pod)


def _may_go_unhealthy(pod: Object, budget: Object) -> bool:
    if is_ready(pod):
        return False
    if budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status") or {}
    desired = status.get("desiredHealthy", 0)
    return bool(status.get("currentHealthy", 0) >= desired > 0)


def spend(budget: Object, pod: str, now: str) -> Object:
    """The budget with one disruption less. Raises TooManyRequests, Forbidden."""
    status = budget.get("status") or {}
    name = name_of(budget)
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
        raise _refused(f"The disruption budget {name} is still being processed by the server.", _PROCESSING_RETRY_S)
    allowed, disrupted = status.get("disruptionsAllowed", 0), status.get("disruptedPods") or {}
    if allowed < 0:
        raise _forbidden(name, "pdb disruptions allowed is negative")
    if len(disrupted) > _DISRUPTED_MAX:
        raise _forbidden(name, "DisruptedPods map too big - too many evictions not confirmed by PDB controller")
    if allowed == 0:
        needs, has = status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
        raise _refused(f"The disruption budget {name} needs {needs} healthy pods and has {has} currently", 0)
    after = {**status, "disruptionsAllowed": allowed - 1, "disruptedPods": {**disrupted, pod: now}}
    if allowed == 1:
        after["conditions"] = [dict(condition) for condition in status.get("conditions") or ()]
        condition = {
            "type": "DisruptionAllowed",
            "status": "False",
            "reason": "InsufficientPods",
            "observedGeneration": status.get("observedGeneration", 0),
            "message": "",
        }
        set_condition(after["conditions"], condition, now)
    return {**budget, "status": after}


def _refused(cause: str, retry_after_s: int) -> TooManyRequests:
    error = TooManyRequests(_VIOLATES, retry_after_s, {"causes": [{"reason": "DisruptionBudget", "message": cause}]})
    if not retry_after_s and error.details:
        del error.details["retryAfterSeconds"]
    return error


def _forbidden(name: str, why: str) -> Forbidden:
    return Forbidden(f'poddisruptionbudgets.policy "{name}" is forbidden: {why}')
