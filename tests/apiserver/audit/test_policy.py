"""Which requests are written down."""

from pathlib import Path

import pytest

from kajitori.apiserver.audit.policy import Decision, Level, read_policy
from kajitori.apiserver.configuration import BadConfiguration
from kajitori.apiserver.interfaces import Attributes, User

POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- level: None
  users: [system:kube-proxy]
  verbs: [watch]
- level: None
  userGroups: [system:nodes]
  resources: [{group: "", resources: [nodes, nodes/status]}]
- level: None
  nonResourceURLs: ["/healthz*", /version]
- level: Metadata
  omitManagedFields: false
  omitStages: [ResponseStarted]
  resources: [{group: "", resources: [secrets, "*/token"]}]
- level: Request
  namespaces: [kube-system, ""]
  resources: [{group: "*", resources: ["pods/*"], resourceNames: [p]}]
- level: RequestResponse
  resources: [{group: apps}]
"""
JANE = User("jane", ("dev", "system:authenticated"))
NODE = User("system:node:n", ("system:nodes",))


def decided(tmp_path: Path, asked: Attributes) -> Decision:
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY)
    return read_policy(file).decide(asked)


def resource(
    plural: str,
    verb: str = "get",
    *,
    user: User = JANE,
    group: str = "",
    sub: str = "",
    namespace: str = "",
    name: str = "",
) -> Attributes:
    return Attributes(user, verb, group, "v1", plural, sub, namespace, name)


@pytest.mark.parametrize(
    ("asked", "level"),
    [
        (resource("endpoints", "watch", user=User("system:kube-proxy")), Level.NONE),
        (resource("nodes", user=NODE), Level.NONE),
        (resource("nodes", user=NODE, sub="status"), Level.NONE),
        (resource("secrets"), Level.METADATA),
        (resource("secrets", sub="status"), Level.NONE),
        (resource("serviceaccounts", "create", sub="token"), Level.METADATA),
        (resource("pods", sub="exec", namespace="kube-system", name="p"), Level.REQUEST),
        (resource("pods", namespace="kube-system", name="p"), Level.REQUEST),
        (resource("pods", sub="exec", namespace="kube-system", name="q"), Level.NONE),
        (resource("pods", sub="exec", namespace="default", name="p"), Level.NONE),
        (resource("deployments", group="apps"), Level.REQUEST_RESPONSE),
        (resource("deployments", group="apps", sub="scale"), Level.REQUEST_RESPONSE),
        (Attributes(JANE, "get", path="/healthz/etcd"), Level.NONE),
        (Attributes(JANE, "get", path="/metrics"), Level.NONE),
    ],
)
def test_the_first_rule_that_fits_decides(tmp_path: Path, asked: Attributes, level: Level) -> None:
    assert decided(tmp_path, asked).level is level


def test_what_the_policy_says_of_all_holds_unless_a_rule_says_otherwise(tmp_path: Path) -> None:
    secrets = decided(tmp_path, resource("secrets"))
    assert secrets.omitted == {"RequestReceived", "ResponseStarted"}
    assert secrets.omit_managed_fields is False
    assert decided(tmp_path, resource("deployments", group="apps")).omit_managed_fields is True


@pytest.mark.parametrize(
    ("rules", "place"),
    [
        ("[]", "rules: required"),
        ("[{level: Everything}]", "rules[0].level: 'Everything': must be one of None, Metadata"),
        ("[{level: Metadata, verb: [get]}]", "rules[0].verb: unknown field; known are level"),
        ("[{level: Metadata, omitStages: [Later]}]", "rules[0].omitStages: 'Later': must be one of"),
        ("[{level: Metadata, nonResourceURLs: [healthz]}]", "rules[0].nonResourceURLs: 'healthz': must be *"),
        ("[{level: Metadata, namespaces: [a], nonResourceURLs: [/x]}]", "rules[0].nonResourceURLs: cannot stand"),
        ("[{level: Metadata, resources: [{group: '', resourceNames: [a]}]}]", "rules[0].resources[0].resourceNames"),
        ("[{level: Metadata, resources: [{group: apps/v1}]}]", "rules[0].resources[0].group: 'apps/v1': must be"),
        ("{}", "rules: must be a list"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, rules: str, place: str) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(f"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: {rules}\n")
    with pytest.raises(BadConfiguration) as caught:
        read_policy(file)
    assert str(caught.value).startswith(f"{file}: {place}")
