"""Objects to begin with, and CustomResourceDefinitions that want to be expensive."""

# ruff: noqa: E501 (tables of values)

import random
from typing import Any

POD_SPEC = {
    "containers": [
        {"name": "c", "image": "i:1", "ports": [{"containerPort": 80, "name": "http"}], "env": [{"name": "A", "value": "$(B)"}],
         "resources": {"requests": {"cpu": "100m", "memory": "1Mi"}}, "volumeMounts": [{"name": "v", "mountPath": "/v"}]},
        {"name": "d", "image": "j", "command": ["a"], "livenessProbe": {"httpGet": {"port": "http", "path": "/"}}},
    ],
    "volumes": [{"name": "v", "emptyDir": {}}],
    "tolerations": [{"key": "k", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}]}}},
}  # fmt: skip
TEMPLATE = {"metadata": {"labels": {"app": "a"}}, "spec": POD_SPEC}
SELECTOR = {"matchLabels": {"app": "a"}}
HOOK = {
    "name": "a.b.example", "clientConfig": {"url": "https://127.0.0.1:1/x"}, "sideEffects": "None", "timeoutSeconds": 1,
    "admissionReviewVersions": ["v1"], "failurePolicy": "Ignore", "matchConditions": [{"name": "m", "expression": "true"}],
    "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}],
}  # fmt: skip


def _of(api_version: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "a", "labels": {"app": "a"}}, **more}


SENSIBLE: tuple[dict[str, Any], ...] = (
    _of("v1", "Pod", spec=POD_SPEC),
    _of("v1", "ConfigMap", data={"a": "b"}, binaryData={"c": "AAAA"}),
    _of("v1", "Service", spec={"selector": {"app": "a"}, "ports": [{"port": 80, "targetPort": "http"}]}),
    _of("v1", "ReplicationController", spec={"replicas": 1, "selector": {"app": "a"}, "template": TEMPLATE}),
    _of("v1", "ResourceQuota", spec={"hard": {"pods": "1000", "count/configmaps": "1000"}}),
    _of("v1", "LimitRange", spec={"limits": [{"type": "Container", "default": {"cpu": "1"}}]}),
    _of("v1", "ServiceAccount"),
    _of("v1", "Node", spec={"taints": [{"key": "a", "effect": "NoSchedule"}]}),
    _of("apps/v1", "Deployment", spec={"replicas": 2, "selector": SELECTOR, "template": TEMPLATE}),
    _of("apps/v1", "StatefulSet", spec={"serviceName": "a", "selector": SELECTOR, "template": TEMPLATE}),
    _of("apps/v1", "DaemonSet", spec={"selector": SELECTOR, "template": TEMPLATE}),
    _of("batch/v1", "Job", spec={"template": {"spec": {**POD_SPEC, "restartPolicy": "Never"}}}),
    _of("batch/v1", "CronJob", spec={"schedule": "*/5 * * * *", "jobTemplate": {"spec": {"template": {
        "spec": {**POD_SPEC, "restartPolicy": "Never"}}}}}),
    _of("networking.k8s.io/v1", "Ingress", spec={"rules": [{"host": "a.example", "http": {"paths": [
        {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "a", "port": {"number": 80}}}}]}}]}),
    _of("rbac.authorization.k8s.io/v1", "Role", rules=[{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]),
    _of("autoscaling/v2", "HorizontalPodAutoscaler", spec={
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"}, "maxReplicas": 3}),
    _of("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", webhooks=[HOOK]),
    _of("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", webhooks=[HOOK]),
    _of("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", spec={
        "matchConstraints": {"resourceRules": HOOK["rules"]}, "validations": [{"expression": "object.data.size() < 9"}]}),
    _of("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding", spec={
        "policyName": "a", "validationActions": ["Warn"]}),
    _of("authentication.k8s.io/v1", "TokenReview", spec={"token": "a.b.c", "audiences": ["x"]}),
    _of("authorization.k8s.io/v1", "SubjectAccessReview", spec={
        "user": "a", "groups": ["b"], "extra": {"c": ["d"]}, "resourceAttributes": {"verb": "get", "resource": "pods"}}),
    _of("authorization.k8s.io/v1", "SelfSubjectRulesReview", spec={"namespace": "default"}),
    _of("apiregistration.k8s.io/v1", "APIService", spec={
        "group": "x.example", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1,
        "service": {"name": "a", "namespace": "default"}}) | {"metadata": {"name": "v1.x.example"}},
)  # fmt: skip

PATTERNS = (
    "(a+)+$",
    "(a|aa)*b",
    "a{1000}{1000}{1000}",
    "(" * 500,
    "[",
    "\\pZ",
    "(?=a)b",
    "x" * 20_000,
    "(?:a?){999}a{999}",
)
RULES = (
    "true", "self == oldSelf", "self.all(x, self.all(y, x == y))", "self.a.matches('(a*)*b')", "1 / 0", "(" * 300,
    "[1,2,3].map(a, [1,2,3].map(b, [a, b])).size() > 0", "self" + ".a" * 200, "'" + "x" * 9000 + "'", "self.x.y.z", "\x00",
    "self.size() < 9223372036854775807", "duration(self.a) > duration('1s')", "has(self.a)",
)  # fmt: skip


def hostile(chance: random.Random) -> dict[str, Any]:
    """A definition of kind Fuzz0 ... Fuzz2 whose schema is deep, wide, or full of rules, patterns and defaults."""
    number = chance.randrange(3)
    names = {
        "plural": f"fuzz{number}s",
        "kind": f"Fuzz{number}",
        "listKind": f"Fuzz{number}List",
        "singular": f"fuzz{number}",
    }
    schema = {"type": "object", "properties": {"spec": _schema(chance, chance.choice((1, 3, 6, 40)))}}
    if chance.random() < 0.1:
        wide = chance.choice((300, 10_000))
        schema["properties"] |= {f"p{n}": {"type": "string", "default": "x" * 50} for n in range(wide)}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    if chance.random() < 0.3:
        version["subresources"] = {"status": {}, "scale": {
            "specReplicasPath": chance.choice((".spec.replicas", ".", "x", ".spec.a[0]", ".status.x")),
            "statusReplicasPath": ".status.replicas"}}  # fmt: skip
    if chance.random() < 0.3:
        path = chance.choice(
            (".spec", ".metadata.name", ".", "{", ".spec.a[?(@.x==1)]", ".spec" * 500, "..a", ".spec[*]")
        )
        version["additionalPrinterColumns"] = [{"name": "a", "type": "string", "jsonPath": path}]
    if chance.random() < 0.2:
        version["selectableFields"] = [{"jsonPath": chance.choice((".spec", ".spec.a", ".x", "", ".spec.a.b"))}]
    return {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"fuzz{number}s.fuzz.example"},
        "spec": {"group": "fuzz.example", "names": names, "scope": chance.choice(("Namespaced", "Cluster")),
                 "versions": [version], "preserveUnknownFields": False},
    }  # fmt: skip


def _schema(chance: random.Random, depth: int) -> dict[str, Any]:
    kind = chance.choice(("object", "object", "array", "string", "integer", "number", "boolean"))
    if depth > 8:
        kind = chance.choice(("object", "array"))
    schema: dict[str, Any] = {"type": kind}
    if kind == "object" and depth > 0:
        if chance.random() < 0.25:
            schema["additionalProperties"] = _schema(chance, depth - 1)
        else:
            width = 1 if depth > 8 else chance.randint(1, 3)
            schema["properties"] = {name: _schema(chance, depth - 1) for name in "abc"[:width]}
            if chance.random() < 0.2:
                schema["x-kubernetes-preserve-unknown-fields"] = True
    elif kind == "array":
        schema["items"] = _schema(chance, depth - 1) if depth > 0 else {"type": "string"}
        if chance.random() < 0.3:
            schema["x-kubernetes-list-type"] = chance.choice(("set", "map", "atomic"))
            if schema["x-kubernetes-list-type"] == "map":
                schema["x-kubernetes-list-map-keys"] = ["a"]
    elif kind == "string" and chance.random() < 0.4:
        schema["pattern"] = chance.choice(PATTERNS)
    if chance.random() < 0.15:
        schema["default"] = chance.choice(({}, [], "x" * 100_000, 0, None, {"a": {"a": {}}}, ["x"] * 1000))
    if chance.random() < 0.15:
        schema["nullable"] = True
    if chance.random() < 0.2:
        schema["x-kubernetes-validations"] = [{"rule": chance.choice(RULES), "messageExpression": chance.choice(RULES)}]
    if chance.random() < 0.1:
        schema[chance.choice(("allOf", "anyOf", "oneOf", "not"))] = [{"required": ["a"]}, {"pattern": "(a*)*"}]
    return schema
