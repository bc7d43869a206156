"""The kinds of policy."""

from kajitori.api.columns import workloads as workloads_columns
from kajitori.api.defaults import scaling
from kajitori.api.defaults.status import keep_status
from kajitori.api.resource import Resource, Subresource
from kajitori.api.validation import scaling as scaling_validation
from kajitori.api.validation import statuses

POD_DISRUPTION_BUDGET = Resource(
    group="policy",
    version="v1",
    kind="PodDisruptionBudget",
    plural="poddisruptionbudgets",
    short_names=("pdb",),
    subresources=(
        Subresource(name="status", verbs=("get", "patch", "update"), validate_update=statuses.validate_budget_status),
    ),
    definition="io.k8s.api.policy.v1.PodDisruptionBudget",
    columns=workloads_columns.DISRUPTION_BUDGET,
    validate=scaling_validation.validate_disruption_budget,
    prepare_create=scaling.prepare_disruption_budget,
    prepare_update=keep_status,
    counts_generation=True,
)

RESOURCES = (POD_DISRUPTION_BUDGET,)
