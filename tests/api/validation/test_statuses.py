"""What the status endpoints refuse."""

import pytest

from kajitori.api import (
    admissionregistration,
    apiregistration,
    apps,
    autoscaling,
    core,
    dynamic_resources,
    flowcontrol,
    networking,
    policy,
)


def refused(resource, status, old=None, spec=None, **metadata):
    def with_status(given):
        return {"metadata": {"name": "x", **metadata}, "spec": spec or {}, "status": given}

    return [str(e) for e in resource.validate_update_of("status")(with_status(status), with_status(old or {}))]


@pytest.mark.parametrize(
    ("resource", "status", "expected"),
    [
        (
            apps.DEPLOYMENT,
            {"unavailableReplicas": -1},
            ["unavailableReplicas: Invalid value: -1: must be greater than or equal to 0"],
        ),
        (
            apps.REPLICA_SET,
            {"replicas": 1, "readyReplicas": 2},
            ["readyReplicas: Invalid value: 2: cannot be greater than status.replicas"],
        ),
        (
            apps.STATEFUL_SET,
            {"replicas": 2, "availableReplicas": 2},
            ["availableReplicas: Invalid value: 2: cannot be greater than status.readyReplicas"],
        ),
        (
            core.REPLICATION_CONTROLLER,
            {"replicas": 2, "availableReplicas": 1},
            ["availableReplicas: Invalid value: 1: cannot be greater than readyReplicas"],
        ),
        (apps.DAEMON_SET, {"numberReady": 2}, []),
        (
            autoscaling.HORIZONTAL_POD_AUTOSCALER,
            {"desiredReplicas": -1},
            ["desiredReplicas: Invalid value: -1: must be greater than or equal to 0"],
        ),
        (core.NAMESPACE, {"phase": "Active"}, []),
        (core.NAMESPACE, {}, ["Phase: Invalid value: \"\": may only be 'Active' if `deletionTimestamp` is empty"]),
        (flowcontrol.FLOW_SCHEMA, {"conditions": [{}]}, ["conditions[0].type: Required value"]),
        (
            policy.POD_DISRUPTION_BUDGET,
            {
                "expectedPods": -1,
                "conditions": [{"type": "A", "status": "Maybe"}, {"type": "A", "status": "True", "reason": "a"}],
            },
            [
                'conditions[0].status: Unsupported value: "Maybe": supported values: "False", "True", "Unknown"',
                "conditions[0].lastTransitionTime: Required value",
                "conditions[0].reason: Required value",
                'conditions[1].type: Duplicate value: "A"',
                "conditions[1].lastTransitionTime: Required value",
                "expectedPods: Invalid value: -1: must be greater than or equal to 0",
            ],
        ),
        (
            admissionregistration.VALIDATING_ADMISSION_POLICY,
            {"typeChecking": {"expressionWarnings": [{"fieldRef": "spec.validations[0].expression"}]}},
            ["typeChecking.expressionWarnings[0].warning: Required value"],
        ),
        (
            core.RESOURCE_QUOTA,
            {"hard": {"bogus": "1"}, "used": {"pods": "-1"}},
            [
                'hard[bogus]: Invalid value: "bogus": must be a standard resource type or fully qualified',
                'hard[bogus]: Invalid value: "bogus": must be a standard resource for quota',
                'used[pods]: Invalid value: "-1": must be greater than or equal to 0',
            ],
        ),
        (
            apiregistration.API_SERVICE,
            {"conditions": [{"type": "A", "status": "new"}]},
            ['conditions[0].status: Unsupported value: "new": supported values: "True", "False", "Unknown"'],
        ),
        (
            core.SERVICE,
            {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}},
            ["loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"],
        ),
        (
            networking.INGRESS,
            {"loadBalancer": {"ingress": [{"hostname": "1.2.3.4"}]}},
            ['loadBalancer.ingress[0].hostname: Invalid value: "1.2.3.4": must be a DNS name, not an IP address'],
        ),
        (
            dynamic_resources.RESOURCE_CLAIM,
            {"reservedFor": [{"resource": "pods", "name": "p", "uid": "u"}]},
            ["reservedFor: Forbidden: may not be specified when `allocated` is not set"],
        ),
        (
            core.POD,
            {"podIPs": [{"ip": "x"}]},
            ['podIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'],
        ),
        (core.POD, {"qosClass": "Burstable"}, ['qosClass: Invalid value: "Burstable": field is immutable']),
    ],
)
def test_a_status_is_judged(resource, status, expected):
    assert refused(resource, status) == [f"status.{message}" for message in expected]


def test_collisions_are_not_forgotten():
    assert refused(apps.DEPLOYMENT, {}, {"collisionCount": 1}) == [
        "status.collisionCount: Invalid value: 0: cannot be decremented"
    ]


def test_a_load_balancers_address_needs_its_mode():
    found = refused(core.SERVICE, {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}, spec={"type": "LoadBalancer"})
    assert found == ["status.loadBalancer.ingress[0].ipMode: Required value: must be specified when `ip` is set"]


@pytest.mark.parametrize(
    ("restart", "code", "allowed"), [("Never", 1, False), ("OnFailure", 1, True), ("OnFailure", 0, False)]
)
def test_a_container_that_ended_for_good_does_not_run_again(restart, code, allowed):
    spec = {"restartPolicy": restart, "containers": [{"name": "c"}]}
    ended = {"containerStatuses": [{"name": "c", "state": {"terminated": {"exitCode": code}}}]}
    running = {"containerStatuses": [{"name": "c", "state": {"running": {}}}]}
    expected = "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"
    assert refused(core.POD, running, ended, spec) == ([] if allowed else [expected])
