"""Deployments, stateful sets, daemon sets, jobs: what is refused, and what may not change."""

from copy import deepcopy

import pytest

from kajitori.api import apps, batch, core
from kajitori.api.cron import InvalidSchedule, parse_cron

_SELECTOR = {"matchLabels": {"a": "b"}}
_MISMATCH = "`selector` does not match template `labels`"


def template(**spec):
    containers = [{"name": "c", "image": "i:1"}]
    return {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": containers, **spec}}


def made(resource, **spec):
    obj = {"metadata": {"name": "x", "namespace": "n", "uid": "u"}, "spec": deepcopy(spec)}
    resource.default(obj)
    if resource.prepare_create:
        resource.prepare_create(obj)
    return obj


def workload(resource, **spec):
    return made(resource, **{"selector": _SELECTOR, "template": template(), **spec})


def messages(resource, obj):
    return [f"{e.field}: {e.message}" for e in resource.validate(obj)]


@pytest.mark.parametrize("resource", [apps.DEPLOYMENT, apps.REPLICA_SET, apps.STATEFUL_SET, apps.DAEMON_SET])
def test_a_plain_one_is_fine(resource):
    assert messages(resource, workload(resource)) == []


@pytest.mark.parametrize("resource", [apps.DEPLOYMENT, apps.REPLICA_SET, apps.STATEFUL_SET, apps.DAEMON_SET])
def test_the_selector_must_match_the_template(resource):
    found = messages(resource, workload(resource, selector={"matchLabels": {"a": "c"}}))
    assert found == [f'spec.template.metadata.labels: Invalid value: {{"a":"b"}}: {_MISMATCH}']


@pytest.mark.parametrize(
    ("resource", "kind"),
    [(apps.DEPLOYMENT, "deployment"), (apps.STATEFUL_SET, "statefulset"), (apps.DAEMON_SET, "daemonset")],
)
def test_a_selector_must_select_something(resource, kind):
    assert messages(resource, workload(resource, selector={})) == [
        f"spec.selector: Invalid value: {{}}: empty selector is invalid for {kind}"
    ]


@pytest.mark.parametrize("resource", [apps.DEPLOYMENT, apps.REPLICA_SET, apps.STATEFUL_SET, apps.DAEMON_SET])
def test_its_pods_run_for_ever(resource):
    found = messages(resource, workload(resource, template=template(restartPolicy="Never")))
    assert found == ['spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"']


@pytest.mark.parametrize("resource", [apps.DEPLOYMENT, apps.REPLICA_SET, apps.DAEMON_SET])
def test_the_selector_is_for_life(resource):
    old, new = workload(resource), workload(resource, selector={"matchLabels": {"a": "b", "c": "d"}})
    (error,) = resource.validate_update(new, old)
    assert str(error) == 'spec.selector: Invalid value: {"matchLabels":{"a":"b","c":"d"}}: field is immutable'


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"replicas": -1}, ["spec.replicas: Invalid value: -1: must be greater than or equal to 0"]),
        (
            {"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}},
            ["spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"],
        ),
        (
            {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}}},
            ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0'],
        ),
        (
            {"strategy": {"rollingUpdate": {"maxUnavailable": "150%"}}},
            ['spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "150%": must not be greater than 100%'],
        ),
        (
            {"progressDeadlineSeconds": 5, "minReadySeconds": 5},
            ["spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds"],
        ),
    ],
)
def test_deployment(spec, expected):
    assert messages(apps.DEPLOYMENT, workload(apps.DEPLOYMENT, **spec)) == expected


def claim(name):
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {"metadata": {"name": name}, "spec": spec}


def test_the_claims_of_a_stateful_set_are_volumes_of_its_pods():
    volumes = [{"name": "data", "emptyDir": {}}, {"name": "Wrong", "emptyDir": {}}]
    claims = [claim("data"), claim("")]
    obj = workload(apps.STATEFUL_SET, serviceName="s", template=template(volumes=volumes), volumeClaimTemplates=claims)
    found = messages(apps.STATEFUL_SET, obj)
    assert found[:2] == [
        "spec.template.spec.volumes[1].persistentVolumeClaim.claimName: Required value",
        "spec.template.spec.volumes[1].name: Required value",
    ]
    assert found[2].startswith('spec.template.spec.volumes[2].name: Invalid value: "Wrong"')


@pytest.mark.parametrize("data", ["x", [], 7, True])
def test_the_data_of_a_controller_revision_is_an_object(data):
    revision = {"metadata": {"name": "x", "namespace": "n"}, "revision": 1, "data": data}
    assert messages(apps.CONTROLLER_REVISION, revision) == ["data: Required value: data must be a valid JSON object"]


def test_an_unknown_strategy_is_shown_whole():
    found = messages(apps.DEPLOYMENT, workload(apps.DEPLOYMENT, strategy={"type": "x"}))
    shown = '{"Type":"x","RollingUpdate":null}'
    assert found == [f'spec.strategy: Unsupported value: {shown}: supported values: "Recreate", "RollingUpdate"']


def test_little_of_a_stateful_set_may_change():
    old = workload(apps.STATEFUL_SET, serviceName="s")
    assert apps.STATEFUL_SET.validate_update(workload(apps.STATEFUL_SET, serviceName="s", replicas=5), old) == []
    (error,) = apps.STATEFUL_SET.validate_update(workload(apps.STATEFUL_SET, serviceName="t"), old)
    assert error.message == (
        "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
        "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' "
        "are forbidden"
    )


def test_a_stateful_sets_claims_are_volumes_of_its_pods():
    claim = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    claim["spec"]["resources"] = {"requests": {"storage": "1Gi"}}
    mounting = template()
    mounting["spec"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/d"}]
    assert (
        messages(apps.STATEFUL_SET, workload(apps.STATEFUL_SET, template=mounting, volumeClaimTemplates=[claim])) == []
    )
    (missing,) = messages(apps.STATEFUL_SET, workload(apps.STATEFUL_SET, template=mounting))
    assert missing == 'spec.template.spec.containers[0].volumeMounts[0].name: Not found: "data"'


def job(**spec):
    return made(batch.JOB, **{"template": template(restartPolicy="Never"), **spec})


def test_a_plain_job_is_fine():
    assert messages(batch.JOB, job()) == []


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"template": template()},
            ['spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'],
        ),
        (
            {"completionMode": "Indexed", "parallelism": 1},
            ["spec.completions: Required value: when completion mode is Indexed"],
        ),
        (
            {"backoffLimitPerIndex": 1},
            ["spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"],
        ),
        (
            {"podFailurePolicy": {"rules": [{"action": "Ignore"}]}},
            [
                "spec.podFailurePolicy.rules[0]: Invalid value: "
                "specifying one of OnExitCodes and OnPodConditions is required"
            ],
        ),
        (
            {"podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [0]}}]}},
            [
                "spec.podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value: 0: "
                "must not be 0 for the In operator"
            ],
        ),
        (
            {"successPolicy": {"rules": []}},
            ['spec.successPolicy: Invalid value: {"Rules":[]}: requires indexed completion mode'],
        ),
    ],
)
def test_job(spec, expected):
    assert messages(batch.JOB, job(**spec)) == expected


def test_a_jobs_template_is_fixed_once_it_has_begun():
    old, new = job(suspend=True), job(suspend=True)
    new["spec"]["template"]["spec"]["nodeSelector"] = {"a": "b"}
    assert batch.JOB.revalidate(new, old) == []
    old["status"] = {"startTime": "2026-01-01T00:00:00Z"}
    assert [e.field for e in batch.JOB.revalidate(new, old)] == ["spec.template"]
    old["status"]["conditions"] = [{"type": "Suspended", "status": "True"}]
    assert batch.JOB.revalidate(new, old) == []
    old["status"]["active"] = 1
    assert [e.field for e in batch.JOB.revalidate(new, old)] == ["spec.template"]


def test_a_resting_job_may_be_given_other_resources_and_nothing_else():
    old, new = job(suspend=True), job(suspend=True)
    new["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "2"}}
    assert batch.JOB.revalidate(new, old) == []
    new["spec"]["template"]["spec"]["affinity"] = {"nodeAffinity": {}}
    assert batch.JOB.revalidate(new, old) == []
    new["spec"]["template"]["spec"]["affinity"]["podAffinity"] = {}
    assert [e.field for e in batch.JOB.revalidate(new, old)] == ["spec.template.spec"]
    old["spec"]["suspend"] = False
    assert [e.field for e in batch.JOB.revalidate(new, old)] == ["spec.template"]


def test_an_indexed_job_is_elastic_only_in_tandem():
    def indexed(parallelism, completions):
        return job(completionMode="Indexed", parallelism=parallelism, completions=completions)

    assert batch.JOB.revalidate(indexed(3, 3), indexed(2, 2)) == []
    assert [e.field for e in batch.JOB.revalidate(indexed(2, 3), indexed(2, 2))] == ["spec.completions"]
    assert [e.field for e in batch.JOB.revalidate(job(completions=2), job(completions=1))] == ["spec.completions"]


def cron_job(**spec):
    inner = {"spec": {"template": template(restartPolicy="Never")}}
    return made(batch.CRON_JOB, **{"schedule": "* * * * *", "jobTemplate": inner, **spec})


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, []),
        ({"schedule": "@hourly", "timeZone": "Asia/Tokyo"}, []),
        ({"schedule": ""}, ["spec.schedule: Required value"]),
        ({"schedule": "a"}, ['spec.schedule: Invalid value: "a": expected exactly 5 fields, found 1: [a]']),
        (
            {"schedule": "TZ=UTC * * * * *"},
            [
                'spec.schedule: Invalid value: "TZ=UTC * * * * *": '
                "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
            ],
        ),
        (
            {"timeZone": "Mars/Olympus"},
            ['spec.timeZone: Invalid value: "Mars/Olympus": unknown time zone Mars/Olympus'],
        ),
        (
            {"concurrencyPolicy": "Maybe"},
            ['spec.concurrencyPolicy: Unsupported value: "Maybe": supported values: "Allow", "Forbid", "Replace"'],
        ),
    ],
)
def test_cron_job(spec, expected):
    assert messages(batch.CRON_JOB, cron_job(**spec)) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("5-3 * * * *", "beginning of range (5) beyond end of range (3): 5-3"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
        ("@sometimes", "unrecognized descriptor: @sometimes"),
    ],
)
def test_a_schedule_that_makes_no_sense(text, why):
    with pytest.raises(InvalidSchedule) as caught:
        parse_cron(text)
    assert str(caught.value) == why


def test_replication_controllers_take_selector_and_labels_from_the_template():
    assert messages(core.REPLICATION_CONTROLLER, made(core.REPLICATION_CONTROLLER, template=template())) == []
    assert messages(core.REPLICATION_CONTROLLER, made(core.REPLICATION_CONTROLLER)) == [
        "spec.selector: Required value",
        "spec.template: Required value",
    ]


def test_what_may_not_change_of_a_stateful_set_is_not_judged_again():
    old = workload(apps.STATEFUL_SET, serviceName="Not_A_Label", volumeClaimTemplates=[{"spec": {}}])
    assert apps.STATEFUL_SET.validate(old) != []
    assert apps.STATEFUL_SET.revalidate(old, old) == []
    (error,) = apps.STATEFUL_SET.revalidate(workload(apps.STATEFUL_SET, replicas=-1), old)
    assert error.field == "spec.replicas"


def test_a_template_of_pods_that_was_wrong_may_stay_wrong():
    wrong = template(volumes=[{"name": "Not_A_Label", "emptyDir": {}}])
    old = workload(apps.STATEFUL_SET, template=wrong)
    assert apps.STATEFUL_SET.revalidate(old, workload(apps.STATEFUL_SET)) != []
    assert apps.STATEFUL_SET.revalidate(old, old) == []
