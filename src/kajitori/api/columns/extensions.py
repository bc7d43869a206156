"""How webhooks, admission policies, API services and flow control show."""

from kajitori.api.columns.cells import AGE, NAME, NONE, UNSET, at, column, selector
from kajitori.api.meta import Object, condition_of, name_of
from kajitori.api.resource import Column


def _number_of(name: str, path: str) -> Column:
    return column(name, lambda obj: len(at(obj, path, ())), type="integer")


def _param_kind(policy: Object) -> str:
    kind = at(policy, "spec.paramKind")
    return UNSET if kind is None else f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}"


def _param_ref(binding: Object) -> str:
    reference = at(binding, "spec.paramRef")
    if reference is None:
        return UNSET
    if name := reference.get("name"):
        return f"{reference.get('namespace') or '*'}/{name}"
    selecting = reference.get("selector")
    return UNSET if selecting is None else selector(selecting)


WEBHOOKS = (NAME, _number_of("Webhooks", "webhooks"), AGE)
VALIDATING_POLICY = (NAME, _number_of("Validations", "spec.validations"), column("ParamKind", _param_kind), AGE)
MUTATING_POLICY = (NAME, _number_of("Mutations", "spec.mutations"), column("ParamKind", _param_kind), AGE)
POLICY_BINDING = (NAME, column("PolicyName", "spec.policyName"), column("ParamRef", _param_ref), AGE)


def _backend(service: Object) -> str:
    reference = at(service, "spec.service")
    return "Local" if reference is None else f"{reference.get('namespace', '')}/{reference.get('name', '')}"


def _available(service: Object) -> str:
    condition = condition_of(service, "Available")
    if condition is None:
        return "Unknown"
    if condition.get("status") == "True":
        return "True"
    return f"{condition.get('status')} ({condition.get('reason', '')})"


API_SERVICE = (NAME, column("Service", _backend), column("Available", _available), AGE)


def _dangling(schema: Object) -> str:
    condition = condition_of(schema, "Dangling")
    return "?" if condition is None else str(condition.get("status"))


FLOW_SCHEMA = (
    NAME,
    column("PriorityLevel", lambda obj: at(obj, "spec.priorityLevelConfiguration.name") or NONE),
    column("MatchingPrecedence", "spec.matchingPrecedence", default=0),
    column("DistinguisherMethod", "spec.distinguisherMethod.type", default=NONE),
    AGE,
    column("MissingPL", _dangling),
)


def by_precedence(schema: Object) -> tuple[int, str]:
    """As requests meet them: `kubectl get flowschemas` reads from the first that is asked to the last."""
    return int(at(schema, "spec.matchingPrecedence") or 0), name_of(schema)


def _queuing(name: str, field: str) -> Column:
    return column(name, f"spec.limited.limitResponse.queuing.{field}", default=NONE)


PRIORITY_LEVEL = (
    NAME,
    column("Type", "spec.type"),
    column("NominalConcurrencyShares", "spec.limited.nominalConcurrencyShares", default=NONE),
    _queuing("Queues", "queues"),
    _queuing("HandSize", "handSize"),
    _queuing("QueueLengthLimit", "queueLengthLimit"),
    AGE,
)
