"""What webhooks and validating policies take and decide, under upstream's names.

Counted only where one of them is asked: a request that concerns none pays nothing.
"""

from collections.abc import Callable
from typing import NamedTuple

from kajitori.apiserver.admission.plugin import name_of_plugin
from kajitori.apiserver.admission.step_figures import StepFigures
from kajitori.apiserver.exposition import Family
from kajitori.apiserver.series import Counter, Histogram

_WEBHOOK = "apiserver_admission_webhook_"
_BUCKETS_S = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10, 25)
_EXPRESSION_BUCKETS_S = (0.0000005, 0.001, 0.01, 0.1, 1.0)
_CODE_MAX = 600
"""Larger codes count as this one: what a webhook makes up must not become many series."""

UNANSWERED, INTERNAL, DENIED = "calling_webhook_error", "apiserver_internal_error", "no_error"
"""Why a webhook's part in a request refused it."""


class Asked(NamedTuple):
    """`step` is "admit" or "validating"."""

    webhook: str
    step: str
    operation: str


class AdmissionFigures:
    def __init__(self, now_s: Callable[[], float]) -> None:
        """`now_s` is monotonic."""
        self.steps = StepFigures(now_s, name_of_plugin)
        self._durations = Histogram(
            f"{_WEBHOOK}admission_duration_seconds",
            "How long webhooks took.",
            "name type operation rejected",
            _BUCKETS_S,
        )
        self._requests = Counter(
            f"{_WEBHOOK}request_total", "Requests to webhooks.", "name type operation code rejected"
        )
        self._refusals = Counter(
            f"{_WEBHOOK}rejection_count",
            "Requests refused by a webhook, or because of one.",
            "name type operation error_type rejection_code",
        )
        self._failed_open = Counter(f"{_WEBHOOK}fail_open_count", "Webhooks that failed and were ignored.", "name type")
        self._checks = Counter(
            "apiserver_validating_admission_policy_check_total",
            "Validations that did not hold or could not be evaluated, by what followed.",
            "policy policy_binding error_type enforcement_action",
        )
        self._mutations = Counter(
            "apiserver_mutating_admission_policy_check_total",
            "Mutations of policies, by what became of them.",
            "policy policy_binding error_type",
        )
        self._mutation_durations = Histogram(
            "apiserver_mutating_admission_policy_check_duration_seconds",
            "How long they took.",
            "policy policy_binding error_type",
            _EXPRESSION_BUCKETS_S,
        )
        self._pods = Counter(
            "pod_security_evaluations_total",
            "Pods judged by the Pod Security Standards.",
            "decision policy_level policy_version mode request_operation resource subresource",
        )

    def answered(self, asked: Asked, duration_s: float, code: int, *, rejected: bool) -> None:
        shown = "true" if rejected else "false"
        self._requests.add(*asked, _code(code), shown)
        self._durations.add(duration_s, *asked, shown)

    def refused(self, asked: Asked, why: str, code: int) -> None:
        self._refusals.add(*asked, why, _code(code))

    def failed_open(self, asked: Asked) -> None:
        self._failed_open.add(asked.webhook, asked.step)

    def checked(self, policy: str, binding: str, error: str, action: str) -> None:
        """`error`: compile_error, invalid_error, out_of_budget or no_error; `action`: allow, deny, warn or audit."""
        self._checks.add(policy, binding, error, action)

    def mutated(self, policy: str, binding: str, error: str, duration_s: float) -> None:
        self._mutations.add(policy, binding, error)
        self._mutation_durations.add(duration_s, policy, binding, error)

    def judged(self, decision: str, level: str, version: str, mode: str, operation: str, subresource: str) -> None:
        """A pod by one mode of its namespace."""
        self._pods.add(decision, level, version, mode, operation.lower(), "pod", subresource)

    @property
    def families(self) -> tuple[Family, ...]:
        counters = (self._requests, self._refusals, self._failed_open, self._checks, self._mutations, self._pods)
        timed = (self._durations, self._mutation_durations)
        return (*self.steps.families, *(found.family for found in (*timed, *counters)))


def _code(code: int) -> str:
    return str(min(code, _CODE_MAX))
