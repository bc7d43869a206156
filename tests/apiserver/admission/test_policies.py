import asyncio
from typing import Any

import pytest

from kajitori.api import apps, core
from kajitori.api.errors import Forbidden, InternalError, StatusError
from kajitori.api.meta import Object
from kajitori.api.registry import Registry
from kajitori.api.resource import Resource
from kajitori.apiserver.admission import mutating_policies, validating_policies
from kajitori.apiserver.admission.mutating_policies import MutatingPolicies
from kajitori.apiserver.admission.plugin import run_mutating
from kajitori.apiserver.admission.policy_status import PolicyStatus
from kajitori.apiserver.admission.scene import Surroundings
from kajitori.apiserver.admission.validating_policies import ValidatingPolicies
from kajitori.apiserver.admission.versions import Versions
from kajitori.apiserver.exposition import exposition
from kajitori.apiserver.interfaces import AdmissionRequest, Attributes, Operation, Verdict
from kajitori.kit.clock import VirtualClock
from kajitori.testing.objects import FakeObjects
from kajitori.testing.requests import ADMIN

DEPLOYMENTS = {"operations": ["CREATE", "UPDATE"], "apiGroups": ["apps"], "apiVersions": ["v1"]}


class Rules:
    """Allows what it is told; asks for the rest."""

    def __init__(self, *verbs: str) -> None:
        self.verbs = verbs
        self.asked: list[Attributes] = []

    def authorize(self, attributes: Attributes) -> tuple[Verdict, str]:
        return Verdict.ASK, ""

    async def ask(self, attributes: Attributes) -> tuple[Verdict, str]:
        self.asked.append(attributes)
        return (Verdict.ALLOW if attributes.verb in self.verbs else Verdict.DENY), "because"


class World:
    def __init__(self, *verbs: str) -> None:
        self.objects = FakeObjects()
        self.objects.put(core.NAMESPACE, {"metadata": {"name": "default", "labels": {"team": "a"}}})
        self.authorizer = Rules(*verbs)
        registry = Registry()
        around = Surroundings(self.objects, self.authorizer, registry, Versions(registry), VirtualClock())
        self.figures = around.figures
        self.mutating, self.validating = MutatingPolicies(around), ValidatingPolicies(around)

    def policy(self, name: str = "p", *, binding: Object | None = None, **spec: Any) -> None:
        """A policy about deployments, and its binding."""
        match = {"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}}
        rules = [{**DEPLOYMENTS, "resources": ["deployments"], "scope": "*"}]
        constraints = {**match, "resourceRules": rules, **spec.pop("match", {})}
        mutating = "mutations" in spec
        module = mutating_policies if mutating else validating_policies
        document = {
            "metadata": {"name": name},
            "spec": {"matchConstraints": constraints, "failurePolicy": "Fail", **spec},
        }
        bound = {"policyName": name, **({} if mutating else {"validationActions": ["Deny"]}), **(binding or {})}
        self.objects.put(module.POLICIES, document)
        self.objects.put(module.BINDINGS, {"metadata": {"name": f"{name}-binding"}, "spec": bound})

    def admit(
        self,
        replicas: int = 1,
        resource: Resource = apps.DEPLOYMENT,
        obj: Object | None = None,
        old: Object | None = None,
        operation: Operation = Operation.CREATE,
        **fields: Any,
    ) -> AdmissionRequest:
        given = obj or {"metadata": {"name": "web", "namespace": "default"}, "spec": {"replicas": replicas}}
        made = None if operation is Operation.DELETE else given
        request = AdmissionRequest(ADMIN, operation, resource, "default", "web", made, old, **fields)

        async def run() -> None:
            await run_mutating([self.mutating], request)
            await self.validating.validate(request)

        asyncio.run(run())
        return request


def enough(**fields: Any) -> dict[str, Any]:
    return {"validations": [{"expression": "object.spec.replicas > 1", **fields}]}


def test_nothing_is_asked_while_nothing_is_bound() -> None:
    world = World()
    assert world.validating.idle
    assert world.mutating.idle
    world.policy(**enough())
    assert not world.validating.idle


def test_a_validation_that_does_not_hold_refuses() -> None:
    world = World()
    world.policy(**enough())
    world.admit(replicas=2)
    with pytest.raises(StatusError) as refused:
        world.admit()
    who = "ValidatingAdmissionPolicy 'p' with binding 'p-binding'"
    said = f"{who} denied request: failed expression: object.spec.replicas > 1"
    status = refused.value.status()
    assert status["message"] == f'deployments.apps "web" is forbidden: {said}'
    assert (status["reason"], status["code"]) == ("Invalid", 422)
    assert status["details"]["causes"] == [{"message": said}]


@pytest.mark.parametrize(
    ("reason", "code"), [("Forbidden", 403), ("Unauthorized", 401), ("RequestEntityTooLarge", 413), ("Invalid", 422)]
)
def test_the_reason_chooses_the_code(reason: str, code: int) -> None:
    world = World()
    world.policy(**enough(reason=reason, message="too few"))
    with pytest.raises(StatusError, match="denied request: too few") as refused:
        world.admit()
    assert (refused.value.status_reason, refused.value.status_code) == (reason, code)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("'wants more than ' + string(object.spec.replicas)", "wants more than 1"),
        ("'two\\nlines'", "fallback"),
        ("'  '", "fallback"),
        ("object.nothing", "fallback"),
        ("authorizer.group('').resource('x').check('y').reason()", "fallback"),
    ],
)
def test_the_message_is_made_by_an_expression_or_given(expression: str, said: str) -> None:
    world = World()
    world.policy(**enough(messageExpression=expression, message="fallback"))
    with pytest.raises(StatusError, match=f"denied request: {said}"):
        world.admit()


def test_who_only_warns_or_audits_refuses_nothing() -> None:
    world = World()
    world.policy(**enough(message="few"), binding={"validationActions": ["Warn", "Audit"]})
    request = world.admit()
    assert request.warnings == ["Validation failed for ValidatingAdmissionPolicy 'p' with binding 'p-binding': few"]
    (noted,) = request.annotations.values()
    assert noted == (
        '[{"message":"few","policy":"p","binding":"p-binding","expressionIndex":0,"validationActions":["Warn","Audit"]}]'
    )


def test_variables_are_evaluated_when_needed_and_build_on_each_other() -> None:
    variables = [
        {"name": "replicas", "expression": "object.spec.replicas"},
        {"name": "odd", "expression": "variables.replicas % 2 == 1"},
        {"name": "broken", "expression": "object.spec.nothing"},
    ]
    world = World()
    world.policy(variables=variables, validations=[{"expression": "variables.odd || variables.broken == 3"}])
    world.admit(replicas=3)
    with pytest.raises(StatusError, match='composited variable "broken" fails to evaluate: no such key: nothing'):
        world.admit(replicas=2)


@pytest.mark.parametrize("held", [True, False])
def test_what_takes_long_is_evaluated_in_another_thread_to_the_same_end(held: bool) -> None:
    world = World()
    numbers = f"[{','.join(map(str, range(25)))}]"
    variables = [
        {"name": "short", "expression": numbers},
        {"name": "long", "expression": "variables.short.map(x, variables.short.map(y, x * 25 + y)).flatten()"},
    ]
    dear = "variables.long.all(x, variables.short.all(y, [1, 2, 3, 4, 5].all(z, x + y + z >= 0)))"
    world.policy(variables=variables, validations=[{"expression": dear}, {"expression": str(held).lower()}])
    if held:
        world.admit()
    else:
        with pytest.raises(StatusError, match="failed expression: false"):
            world.admit()


def test_errors_count_unless_failures_are_ignored() -> None:
    wrong = [{"expression": "object.spec.nothing == 1"}]
    world = World()
    world.policy(validations=wrong)
    with pytest.raises(
        StatusError, match=r"expression 'object.spec.nothing == 1' resulted in error: no such key: nothing"
    ):
        world.admit()
    world = World()
    world.policy(validations=wrong, failurePolicy="Ignore")
    world.admit()


def test_match_conditions_choose_the_requests() -> None:
    conditions = [{"name": "not-mine", "expression": "request.userInfo.username != 'kubernetes-admin'"}]
    world = World()
    world.policy(**enough(), matchConditions=conditions)
    world.admit()
    world = World()
    world.policy(**enough(), matchConditions=[{"name": "x", "expression": "object.nothing == 1"}, *conditions])
    world.admit()
    world = World()
    world.policy(**enough(), matchConditions=[{"name": "x", "expression": "object.nothing == 1"}])
    with pytest.raises(StatusError, match="resulted in error: no such key: nothing"):
        world.admit(replicas=2)


def test_rules_selectors_names_and_exclusions() -> None:
    rule = {**DEPLOYMENTS, "resources": ["deployments"], "scope": "*"}
    for match in (
        {"namespaceSelector": {"matchLabels": {"team": "b"}}},
        {"objectSelector": {"matchLabels": {"app": "x"}}},
        {"resourceRules": [{**rule, "resourceNames": ["other"]}]},
        {"resourceRules": [{**rule, "operations": ["DELETE"]}]},
        {"resourceRules": [{**rule, "scope": "Cluster"}]},
        {"resourceRules": [{**rule, "resources": ["deployments/status"]}]},
        {"excludeResourceRules": [{**rule, "resources": ["*"]}]},
    ):
        world = World()
        world.policy(**enough(), match=match)
        world.admit()
    world = World()
    world.policy(**enough(), binding={"matchResources": {"namespaceSelector": {"matchLabels": {"team": "b"}}}})
    world.admit()
    world = World()
    world.policy(**enough(), binding={"matchResources": {"namespaceSelector": {"matchLabels": {"team": "a"}}}})
    with pytest.raises(StatusError):
        world.admit()


def test_a_rule_for_another_version_sees_the_object_in_that_version() -> None:
    from kajitori.api import autoscaling

    rules = [
        {"operations": ["*"], "apiGroups": ["autoscaling"], "apiVersions": ["v1"], "resources": ["*"], "scope": "*"}
    ]
    versions = "request.kind.version == 'v1' && request.requestKind.version == 'v2'"
    check = f"object.spec.targetCPUUtilizationPercentage == 50 && {versions}"
    metrics = [
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 40}}}
    ]
    scaler = {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"maxReplicas": 3, "metrics": metrics, "scaleTargetRef": {"kind": "Deployment", "name": "web"}},
    }
    world = World()
    world.policy(validations=[{"expression": check, "message": "half"}], match={"resourceRules": rules})
    with pytest.raises(StatusError, match="half"):
        world.admit(resource=autoscaling.HORIZONTAL_POD_AUTOSCALER, obj=scaler)
    metrics[0]["resource"]["target"]["averageUtilization"] = 50  # type: ignore[index]
    world.admit(resource=autoscaling.HORIZONTAL_POD_AUTOSCALER, obj=scaler)
    world = World()
    world.policy(validations=[{"expression": "false"}], match={"resourceRules": rules, "matchPolicy": "Exact"})
    world.admit(resource=autoscaling.HORIZONTAL_POD_AUTOSCALER, obj=scaler)


PARAM_KIND = {"apiVersion": "v1", "kind": "ConfigMap"}
LIMITED = {"validations": [{"expression": "params == null || object.spec.replicas <= int(params.data.max)"}]}


def limit(world: World, name: str, most: str, namespace: str = "default") -> None:
    meta = {"name": name, "namespace": namespace, "labels": {"limit": "yes"}}
    world.objects.put(core.CONFIG_MAP, {"metadata": meta, "data": {"max": most}})


def test_parameters_by_name_and_by_selector() -> None:
    world = World()
    world.policy(
        **LIMITED, paramKind=PARAM_KIND, binding={"paramRef": {"name": "a", "parameterNotFoundAction": "Deny"}}
    )
    with pytest.raises(
        StatusError,
        match="failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction",
    ):
        world.admit()
    limit(world, "a", "2")
    world.admit(replicas=2)
    with pytest.raises(StatusError, match="failed expression"):
        world.admit(replicas=3)
    world = World()
    reference = {"selector": {"matchLabels": {"limit": "yes"}}, "parameterNotFoundAction": "Allow"}
    world.policy(**LIMITED, paramKind=PARAM_KIND, binding={"paramRef": reference})
    world.admit(replicas=9)
    limit(world, "a", "8")
    limit(world, "b", "5")
    limit(world, "elsewhere", "1", "other")
    world.admit(replicas=5)
    with pytest.raises(StatusError):
        world.admit(replicas=6)


def test_parameters_that_are_no_kind_or_not_referred_to() -> None:
    world = World()
    world.policy(**LIMITED, paramKind={"apiVersion": "a.example/v1", "kind": "Limit"})
    why = "'p' denied request: failed to configure policy: failed to find resource referenced by paramKind"
    with pytest.raises(StatusError, match=f"{why}: 'a.example/v1, Kind=Limit'"):
        world.admit()
    world = World()
    world.policy(**LIMITED, paramKind=PARAM_KIND)
    world.admit()


def test_the_authorizer_is_asked_and_remembered() -> None:
    check = "authorizer.group('apps').resource('deployments').namespace('default').check('scale').allowed()"
    own = "authorizer.requestResource.check('publish').allowed()"
    world = World("scale")
    world.policy(validations=[{"expression": check}, {"expression": f"{check} && !{own}"}])
    world.admit()
    asked = [(a.verb, a.group, a.resource, a.namespace, a.name) for a in world.authorizer.asked]
    assert asked == [
        ("scale", "apps", "deployments", "default", ""),
        ("publish", "apps", "deployments", "default", "web"),
    ]


def test_notes_for_the_audit_log() -> None:
    notes = [
        {"key": "replicas", "valueExpression": "'has ' + string(object.spec.replicas)"},
        {"key": "nothing", "valueExpression": "null"},
    ]
    world = World()
    world.policy(auditAnnotations=notes)
    assert world.admit().annotations == {"p/replicas": "has 1"}


def test_deletions_show_what_goes_and_the_namespace() -> None:
    rule = {**DEPLOYMENTS, "operations": ["DELETE"], "resources": ["deployments"], "scope": "*"}
    check = "object == null && oldObject.spec.replicas == 1 && namespaceObject.metadata.labels.team == 'b'"
    world = World()
    world.policy(validations=[{"expression": check}], match={"resourceRules": [rule]})
    old = {"metadata": {"name": "web", "namespace": "default"}, "spec": {"replicas": 1}}
    with pytest.raises(StatusError, match="failed expression"):
        world.admit(operation=Operation.DELETE, old=old)


def test_policies_have_no_say_in_policies() -> None:
    everything = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"], "scope": "*"}
    world = World()
    world.policy(validations=[{"expression": "false"}], match={"resourceRules": [everything]})
    world.admit(resource=validating_policies.POLICIES, obj={"metadata": {"name": "p"}})
    with pytest.raises(StatusError):
        world.admit()


def apply(expression: str) -> dict[str, Any]:
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}


def json_patch(expression: str) -> dict[str, Any]:
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}


def pod_template(*containers: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"replicas": 1, "template": {"metadata": {}, "spec": {"containers": list(containers)}}},
    }


def test_apply_configurations_are_merged() -> None:
    sidecar = "Object.spec.template.spec.containers{name: 'sidecar', image: 's'}"
    template = f"Object.spec.template{{spec: Object.spec.template.spec{{containers: [{sidecar}]}}}}"
    annotations = "Object.metadata{annotations: {'by': 'policy'}}"
    expression = f"Object{{metadata: {annotations}, spec: Object.spec{{template: {template}}}}}"
    world = World()
    world.policy(mutations=[apply(expression)], reinvocationPolicy="Never")
    request = world.admit(obj=pod_template({"name": "main", "image": "m"}))
    assert request.object is not None
    assert request.object["metadata"]["annotations"] == {"by": "policy"}
    containers = request.object["spec"]["template"]["spec"]["containers"]
    assert sorted(container["name"] for container in containers) == ["main", "sidecar"]
    assert request.object["spec"]["replicas"] == 1


def test_json_patches_are_applied_unless_their_test_fails() -> None:
    test = "JSONPatch{op: 'test', path: '/spec/replicas', value: 1}"
    add = "JSONPatch{op: 'replace', path: '/spec/replicas', value: object.spec.replicas + 1}"
    label = "JSONPatch{op: 'add', path: '/metadata/labels', value: {'a.b/c': 'x'}}"
    deeper = "JSONPatch{op: 'add', path: '/metadata/labels/' + jsonpatch.escapeKey('d/e'), value: 'y'}"
    world = World()
    world.policy(
        mutations=[json_patch(f"[{test}, {add}]"), json_patch(f"[{label}, {deeper}]")], reinvocationPolicy="Never"
    )
    request = world.admit(replicas=1)
    assert request.object is not None
    assert request.object["spec"]["replicas"] == 2
    assert request.object["metadata"]["labels"] == {"a.b/c": "x", "d/e": "y"}
    request = world.admit(replicas=5)
    assert request.object is not None
    assert request.object["spec"]["replicas"] == 5


@pytest.mark.parametrize(
    ("mutation", "said"),
    [
        (apply("Object{spec: Object.spec{nothing: 1}}"), "field not declared in schema"),
        (apply("Object{spec: Object.status{replicas: 1}}"), "type mismatch: unexpected type name"),
        (
            apply("Object{spec: Object.spec{selector: Object.spec.selector{matchLabels: {'a': 'b'}}}}"),
            "may not mutate atomic arrays, maps or structs: .spec.selector",
        ),
        (apply("Object{spec: Object.spec{replicas: object.spec.nothing}}"), "no such key: nothing"),
        (json_patch("[JSONPatch{op: 'remove', path: '/spec/nothing/x'}]"), "JSON Patch: "),
        (apply("Object{spec"), "compilation failed: ERROR"),
        (apply("Object{spec: Object.spec{template: null}}"), ".spec.template: expected map, got &{NULL_VALUE}"),
        (json_patch("[JSONPatch{path: '/spec'}]"), "JSON Patch: Unexpected kind: "),
        (json_patch("[JSONPatch{op: 'add', value: 1}]"), 'doc is missing path: "": missing value'),
        (json_patch("[JSONPatch{op: 'add', path: '/a', value: quantity('1')}]"), "error from 'Quantity' to"),
    ],
)
def test_a_mutation_that_cannot_be_made_refuses_unless_ignored(mutation: dict[str, Any], said: str) -> None:
    world = World()
    world.policy(mutations=[mutation], reinvocationPolicy="Never")
    with pytest.raises(Forbidden) as refused:
        world.admit()
    assert refused.value.message.startswith("policy 'p' with binding 'p-binding' denied request: ")
    assert said in refused.value.message
    assert (refused.value.status_reason, refused.value.status_code) == ("Invalid", 403)
    world = World()
    world.policy(mutations=[mutation], reinvocationPolicy="Never", failurePolicy="Ignore")
    world.admit()


@pytest.mark.parametrize(
    ("patch", "why"),
    [
        ("op: 'add', path: '/spec/nothing', value: 1", 'strict decoding error: unknown field "spec.nothing"'),
        ("op: 'replace', path: '/kind', value: 'Foo'", 'no kind "Foo" is registered for version "apps/v1" in scheme'),
        ("op: 'add', path: '/spec/replicas', value: 'x'", "json: cannot unmarshal string into Go struct field"),
    ],
)
def test_a_patch_that_makes_no_object_is_an_error_of_the_server(patch: str, why: str) -> None:
    world = World()
    mutation = json_patch(f"[JSONPatch{{{patch}}}]")
    world.policy(mutations=[mutation], reinvocationPolicy="Never", failurePolicy="Ignore")
    with pytest.raises(InternalError) as refused:
        world.admit()
    assert refused.value.message.startswith(f"Internal error occurred: {why}")
    (cause,) = (refused.value.details or {})["causes"]
    assert cause["message"].startswith(why)


SCALE = Resource(
    group="autoscaling",
    version="v1",
    kind="Scale",
    plural="scales",
    definition="io.k8s.api.autoscaling.v1.Scale",
)


def test_what_is_sent_to_a_resource_of_another_group_has_no_type_to_be_merged_by() -> None:
    world = World()
    match = {"resourceRules": [{**DEPLOYMENTS, "resources": ["deployments/scale"], "scope": "*"}]}
    world.policy(mutations=[apply("Object{}")], reinvocationPolicy="Never", match=match)
    with pytest.raises(Forbidden, match="no corresponding type for autoscaling/v1, Kind=Scale"):
        world.admit(subresource="scale", document=SCALE)


def test_a_policy_sees_later_changes_when_it_wants_to() -> None:
    copy = apply("Object{metadata: Object.metadata{annotations: {'replicas': string(object.spec.replicas)}}}")
    for policy, seen in (("Never", "1"), ("IfNeeded", "7")):
        world = World()
        world.policy("a", mutations=[copy], reinvocationPolicy=policy)
        world.policy("b", mutations=[apply("Object{spec: Object.spec{replicas: 7}}")], reinvocationPolicy="Never")
        request = world.admit()
        assert request.object is not None
        assert request.object["metadata"]["annotations"]["replicas"] == seen


def test_a_deletion_is_not_mutated() -> None:
    world = World()
    rule = {**DEPLOYMENTS, "operations": ["*"], "resources": ["deployments"], "scope": "*"}
    world.policy(mutations=[apply("Object{}")], reinvocationPolicy="Never", match={"resourceRules": [rule]})
    request = world.admit(operation=Operation.DELETE, old={"metadata": {"name": "web"}})
    assert request.rounds is None


def test_a_policy_is_type_checked_once_for_each_generation() -> None:
    async def scenario() -> None:
        world, clock = World(), VirtualClock()
        world.policy(**enough())
        stored = await world.objects.get(validating_policies.POLICIES, "p")
        stored["metadata"]["generation"] = 2
        stored["spec"]["validations"] = [{"expression": "object.spec.nothing"}]
        task = asyncio.create_task(PolicyStatus(world.objects, Registry(), clock).run())
        world.objects.put(validating_policies.POLICIES, stored)
        while (status := (await world.objects.get(validating_policies.POLICIES, "p")).get("status")) is None:
            await asyncio.sleep(0)  # it is checked in another thread
        assert status["observedGeneration"] == 2
        (warning,) = status["typeChecking"]["expressionWarnings"]
        assert "undefined field 'nothing'" in warning["warning"]
        writes = world.objects.writes
        world.objects.put(validating_policies.POLICIES, {**stored, "status": status})
        await clock.settle()
        assert world.objects.writes == writes
        task.cancel()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("fields", "counted"),
    [
        ({"binding": {"validationActions": ["Warn", "Audit"]}}, ["no_error warn", "no_error audit"]),
        (
            {"validations": [{"expression": "object.absent == 1"}], "failurePolicy": "Ignore"},
            ["invalid_error allow"],
        ),
    ],
)
def test_what_does_not_hold_is_counted_by_what_follows(fields: dict[str, Any], counted: list[str]) -> None:
    world = World()
    world.policy(**{**enough(), **fields})
    world.admit()
    text = exposition(world.figures.families, open_metrics=False).decode()
    for error, action in map(str.split, counted):
        labels = f'policy="p",policy_binding="p-binding",error_type="{error}",enforcement_action="{action}"'
        assert f"apiserver_validating_admission_policy_check_total{{{labels}}} 1" in text
