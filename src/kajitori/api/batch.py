"""The kinds of batch."""

from kajitori.api import selectable
from kajitori.api.columns import workloads as workloads_columns
from kajitori.api.defaults import workloads
from kajitori.api.defaults.status import begin_with, keep_status
from kajitori.api.resource import Resource, Subresource
from kajitori.api.validation import jobs as jobs_validation
from kajitori.api.warnings import workloads as workloads_warnings

CRON_JOB = Resource(
    group="batch",
    version="v1",
    kind="CronJob",
    plural="cronjobs",
    short_names=("cj",),
    categories=("all",),
    subresources=(Subresource(name="status", verbs=("get", "patch", "update")),),
    definition="io.k8s.api.batch.v1.CronJob",
    columns=workloads_columns.CRON_JOB,
    default=workloads.default_cron_job,
    validate=jobs_validation.validate_cron_job,
    prepare_create=begin_with({}),
    prepare_update=keep_status,
    counts_generation=True,
    warnings=workloads_warnings.cron_job_warnings,
)

JOB = Resource(
    group="batch",
    version="v1",
    kind="Job",
    plural="jobs",
    categories=("all",),
    subresources=(Subresource(name="status", verbs=("get", "patch", "update")),),
    definition="io.k8s.api.batch.v1.Job",
    columns=workloads_columns.JOB,
    selectable_fields=selectable.JOB,
    default=workloads.default_job,
    validate=jobs_validation.validate_job,
    revalidate=jobs_validation.revalidate_job,
    prepare_create=workloads.prepare_job,
    prepare_update=keep_status,
    counts_generation=True,
    warnings=workloads_warnings.job_warnings,
)

RESOURCES = (
    CRON_JOB,
    JOB,
)
