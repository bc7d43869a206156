"""The kinds of batch."""

from kajitori.api.resource import Resource, Subresource

CRON_JOB = Resource(
    group="batch",
    version="v1",
    kind="CronJob",
    plural="cronjobs",
    short_names=("cj",),
    categories=("all",),
    subresources=(Subresource(name="status", verbs=("get", "patch", "update")),),
    definition="io.k8s.api.batch.v1.CronJob",
)

JOB = Resource(
    group="batch",
    version="v1",
    kind="Job",
    plural="jobs",
    categories=("all",),
    subresources=(Subresource(name="status", verbs=("get", "patch", "update")),),
    definition="io.k8s.api.batch.v1.Job",
)

RESOURCES = (
    CRON_JOB,
    JOB,
)
