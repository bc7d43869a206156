import asyncio
from typing import Any

import pytest

from kajitori.api import apps, core
from kajitori.api.errors import Forbidden
from kajitori.apiserver.admission.pod_security import PodSecurity, label_errors, policy_of
from kajitori.apiserver.admission.pod_security_standards import BASELINE, RESTRICTED, violations
from kajitori.apiserver.interfaces import AdmissionRequest, Operation
from kajitori.testing.objects import FakeObjects
from kajitori.testing.requests import ADMIN

GOOD: dict[str, Any] = {
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [
        {
            "name": "c",
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
    ],
}


def one(level: str, **spec: Any) -> str:
    return ", ".join(map(str, violations(level, {}, {**GOOD, **spec})))


def container(**context: Any) -> list[dict[str, Any]]:
    good = GOOD["containers"][0]["securityContext"]
    return [{"name": "c", "securityContext": {**good, **context}}]


def test_a_plain_pod_is_baseline_but_not_restricted() -> None:
    plain: dict[str, Any] = {"containers": [{"name": "c"}]}
    assert violations(BASELINE, {}, plain) == []
    assert ", ".join(map(str, violations(RESTRICTED, {}, plain))) == (
        'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), '
        'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), '
        'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), '
        'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or '
        '"Localhost")'
    )
    assert violations(RESTRICTED, {}, GOOD) == []


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({"hostNetwork": True, "hostPID": True}, "host namespaces (hostNetwork=true, hostPID=true)"),
        (
            {"containers": container(privileged=True)},
            'privileged (container "c" must not set securityContext.privileged=true)',
        ),
        (
            {"containers": container(capabilities={"drop": ["ALL"], "add": ["NET_ADMIN"]})},
            'non-default capabilities (container "c" must not include "NET_ADMIN" in securityContext.capabilities.add)',
        ),
        ({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, 'hostPath volumes (volume "v")'),
        ({"containers": [{"name": "c", "ports": [{"hostPort": 80}]}]}, 'hostPort (container "c" uses hostPort 80)'),
        (
            {"securityContext": {"seccompProfile": {"type": "Unconfined"}}},
            'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
        ),
        (
            {"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}},
            "forbidden sysctls (kernel.msgmax)",
        ),
    ],
)
def test_what_baseline_forbids(spec: dict[str, Any], text: str) -> None:
    assert one(BASELINE, **spec) == text


def test_what_restricted_forbids_besides() -> None:
    nfs = [{"name": "v", "nfs": {"server": "s", "path": "/"}}]
    assert one(RESTRICTED, volumes=nfs) == ('restricted volume types (volume "v" uses restricted volume type "nfs")')
    assert one(RESTRICTED, containers=container(runAsUser=0)) == (
        'runAsUser=0 (container "c" must not set runAsUser=0)'
    )


def ask(labels: dict[str, str], resource: Any, obj: dict[str, Any]) -> list[str]:
    objects = FakeObjects()
    objects.put(core.NAMESPACE, {"metadata": {"name": "default", "labels": labels}})
    asked = AdmissionRequest(ADMIN, Operation.CREATE, resource, "default", "p", obj)
    asyncio.run(PodSecurity(objects).validate(asked))
    return asked.warnings


def test_enforce_refuses_and_warn_warns() -> None:
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}], "hostIPC": True}}
    with pytest.raises(Forbidden) as refused:
        ask({"pod-security.kubernetes.io/enforce": "baseline"}, core.POD, pod)
    assert refused.value.message == (
        'pods "p" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostIPC=true)'
    )
    warn = {"pod-security.kubernetes.io/warn": "baseline", "pod-security.kubernetes.io/warn-version": "v1.36"}
    assert ask(warn, core.POD, pod) == ['would violate PodSecurity "baseline:v1.36": host namespaces (hostIPC=true)']
    deployment = {"metadata": {"name": "d"}, "spec": {"template": {"spec": pod["spec"]}}}
    assert ask(warn, apps.DEPLOYMENT, deployment) == [
        'would violate PodSecurity "baseline:v1.36": host namespaces (hostIPC=true)'
    ]
    assert ask({}, core.POD, pod) == []


@pytest.mark.parametrize(
    ("labels", "policy"),
    [({}, "privileged:latest"), ({"pod-security.kubernetes.io/enforce": "baseline"}, "baseline:latest")],
)
def test_the_audit_log_is_told_what_pods_are_held_to(labels: dict[str, str], policy: str) -> None:
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}}
    objects = FakeObjects()
    objects.put(core.NAMESPACE, {"metadata": {"name": "default", "labels": labels}})
    request = AdmissionRequest(ADMIN, Operation.CREATE, core.POD, "default", "p", pod)
    asyncio.run(PodSecurity(objects).validate(request))
    assert request.annotations == {"pod-security.kubernetes.io/enforce-policy": policy}


def test_a_mistyped_level_is_the_strictest() -> None:
    assert policy_of({"pod-security.kubernetes.io/enforce": "basline"}) == {"enforce": ("restricted", "latest")}


def test_a_version_of_the_standards_has_the_checks_of_its_time() -> None:
    def reasons(level: str, minor: int, **spec: Any) -> list[str]:
        pod = {"containers": [{"name": "c"}], **spec}
        return [found.reason for found in violations(level, {}, pod, minor)]

    assert reasons("restricted", 0) == ["runAsNonRoot != true"]
    escalation, rest = "allowPrivilegeEscalation != false", ["runAsNonRoot != true", "seccompProfile"]
    assert reasons("restricted", 19) == [escalation, *rest]
    assert reasons("restricted", 22) == [escalation, "unrestricted capabilities", *rest]
    assert reasons("restricted", 24, os={"name": "windows"}) == reasons("restricted", 24)
    assert reasons("restricted", 25, os={"name": "windows"}) == ["runAsNonRoot != true"]
    host = [{"name": "c", "livenessProbe": {"httpGet": {"host": "h"}}}]
    assert (reasons("baseline", 33, containers=host), reasons("baseline", 34, containers=host)) == (
        [],
        ["probe or lifecycle host"],
    )
    sysctls = {"sysctls": [{"name": "net.ipv4.tcp_rmem", "value": "1"}]}
    assert (reasons("baseline", 31, securityContext=sysctls), reasons("baseline", 32, securityContext=sysctls)) == (
        ["forbidden sysctls"],
        [],
    )
    unmasked = {"containers": [{"name": "c", "securityContext": {"procMount": "Unmasked"}}], "hostUsers": False}
    assert [reasons("baseline", minor, **unmasked) for minor in (34, 35)] == [["procMount"], []]
    assert "procMount" in reasons("restricted", 35, **unmasked)
    assert "runAsNonRoot != true" not in reasons("restricted", 35, hostUsers=False)


def test_labels_of_a_namespace_mean_what_they_can() -> None:
    prefix = "pod-security.kubernetes.io/"
    said = {f"{prefix}enforce": "baseline", f"{prefix}enforce-version": "v1.30"}
    assert policy_of(said) == {"enforce": ("baseline", "v1.30"), "warn": ("baseline", "v1.30")}
    assert policy_of({**said, f"{prefix}warn": "privileged"}) == {"enforce": ("baseline", "v1.30")}
    wrong = {f"{prefix}enforce": "x", f"{prefix}audit": "y", f"{prefix}warn-version": "v2"}
    assert policy_of(wrong) == {"enforce": ("restricted", "latest")}
    assert [str(error) for error in label_errors(wrong)] == [
        f'metadata.labels[{prefix}enforce]: Invalid value: "x": must be one of privileged, baseline, restricted',
        f'metadata.labels[{prefix}audit]: Invalid value: "y": must be one of privileged, baseline, restricted',
        f'metadata.labels[{prefix}warn-version]: Invalid value: "v2": must be "latest" or "v1.x"',
    ]
