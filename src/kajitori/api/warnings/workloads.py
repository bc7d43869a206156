"""Kinds that make pods: their templates, looked at again whenever the spec has changed, and their names."""

from collections.abc import Callable, Iterator

from kajitori.api.meta import Object
from kajitori.api.validation.formats import label_errors
from kajitori.api.warnings.pod_specs import template_warnings
from kajitori.api.warnings.volumes import claim_spec_warnings

Warnings = Callable[[Object, Object | None], list[str]]

_COMPLETIONS_SOFT_MAX = 100_000
_PARALLELISM_SOFT_MAX = 10_000
_MANY_INDEXES = (
    "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes "
    "might not be able to track completedIndexes when a big number of indexes fail"
)


def named_workload_warnings(new: Object, old: Object | None) -> list[str]:
    """Of kinds whose name becomes part of hostnames: deployments, replica sets, replication controllers."""
    return [*_name(new, old), *workload_warnings(new, old)]


def workload_warnings(new: Object, old: Object | None) -> list[str]:
    return list(template_warnings("spec.template", _template(new))) if _spec_changed(new, old) else []


def pod_template_warnings(new: Object, old: Object | None) -> list[str]:
    """Of a PodTemplate, which counts no generations."""
    return list(template_warnings("template", new.get("template") or {})) if old is None else []


def stateful_set_warnings(new: Object, old: Object | None) -> list[str]:
    found, spec = workload_warnings(new, old), new.get("spec") or {}
    suffix = "" if old is None else ".Spec"
    for index, claim in enumerate(spec.get("volumeClaimTemplates") or ()):
        found += claim_spec_warnings(f"spec.volumeClaimTemplates[{index}]{suffix}", claim.get("spec") or {})
    if (spec.get("revisionHistoryLimit") or 0) < 0:
        found.append(
            "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended"
        )
    return found


def job_warnings(new: Object, old: Object | None) -> list[str]:
    found = _name(new, old)
    if _spec_changed(new, old):
        found += _job_spec("spec", new.get("spec") or {})
    return found


def cron_job_warnings(new: Object, old: Object | None) -> list[str]:
    found, spec = _name(new, old), new.get("spec") or {}
    if _spec_changed(new, old):
        found += _job_spec("spec.jobTemplate.spec", (spec.get("jobTemplate") or {}).get("spec") or {})
    if old is not None and "TZ" in (spec.get("schedule") or ""):
        found.append(
            "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see "
            "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
        )
    return found


def _job_spec(path: str, spec: Object) -> Iterator[str]:
    if (
        spec.get("completionMode") == "Indexed"
        and (spec.get("completions") or 0) > _COMPLETIONS_SOFT_MAX
        and (spec.get("parallelism") or 0) > _PARALLELISM_SOFT_MAX
    ):
        yield f"{path}: {_MANY_INDEXES}"
    yield from template_warnings(f"{path}.template", spec.get("template") or {})


def _template(obj: Object) -> Object:
    found: Object = (obj.get("spec") or {}).get("template") or {}
    return found


def _spec_changed(new: Object, old: Object | None) -> bool:
    return old is None or new["metadata"].get("generation") != old["metadata"].get("generation")


def _name(new: Object, old: Object | None) -> list[str]:
    if old is not None or not (problems := label_errors(new["metadata"].get("name") or "")):
        return []
    return [
        "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label "
        f"is recommended: [{' '.join(problems)}]"
    ]
