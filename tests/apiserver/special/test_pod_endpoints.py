import asyncio
from typing import Any

import jwt
import orjson
import pytest

from kajitori.api import core, policy, storage
from kajitori.api.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    InternalError,
    Invalid,
    NotFound,
    StatusError,
    TooManyRequests,
)
from kajitori.api.meta import condition_of
from kajitori.apiserver import pki
from kajitori.apiserver.authn.keyring import SigningKey
from kajitori.apiserver.authn.service_accounts import TokenIssuer
from kajitori.apiserver.authz.union import Always
from kajitori.apiserver.interfaces import User, Verdict
from kajitori.apiserver.special.bindings import Bindings
from kajitori.apiserver.special.evictions import Evictions
from kajitori.apiserver.special.token_requests import TokenRequests
from kajitori.kit.clock import VirtualClock
from kajitori.testing.objects import FakeObjects
from kajitori.testing.requests import ADMIN, request

ISSUER = "https://kubernetes.default.svc.cluster.local"


def pod(name: str = "web", *, node: str = "", ready: bool = True, phase: str = "Running") -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {
        "metadata": {"name": name, "namespace": "default", "labels": {"app": "web"}},
        "spec": {"serviceAccountName": "app", "containers": [{"name": "c"}], **({"nodeName": node} if node else {})},
        "status": {"phase": phase, "conditions": conditions},
    }


class World:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.objects = FakeObjects(self.clock.now())
        self.objects.put(core.NAMESPACE, {"metadata": {"name": "default"}})
        issuer = TokenIssuer(SigningKey(pki.create_signing_key()), ISSUER)
        self.handlers = {
            **Bindings(self.objects, self.clock).handlers(),
            **Evictions(self.objects, self.clock).handlers(),
            **TokenRequests(self.objects, issuer, [ISSUER], self.clock, Always(Verdict.NO_OPINION)).handlers(),
        }

    def post(
        self, plural: str, subresource: str, body: dict[str, Any], name: str = "web", user: User = ADMIN
    ) -> dict[str, Any]:
        context = request("POST", body=body, namespace="default", name=name, user=user)
        response = asyncio.run(self.handlers["", plural, subresource](context))  # type: ignore[arg-type]
        assert response.status == 201
        return orjson.loads(response.body)  # type: ignore[no-any-return]

    def bind(self, node: str, **metadata: str) -> dict[str, Any]:
        return self.post(
            "pods", "binding", {"metadata": {"name": "web", **metadata}, "target": {"kind": "Node", "name": node}}
        )

    def evict(self) -> dict[str, Any]:
        return self.post("pods", "eviction", {"kind": "Eviction", "metadata": {"name": "web"}})

    def budget(self, name: str = "pdb", **status: Any) -> None:
        self.objects.put(
            policy.POD_DISRUPTION_BUDGET,
            {
                "metadata": {"name": name, "namespace": "default", "generation": 1},
                "spec": {"selector": {"matchLabels": {"app": "web"}}},
                "status": {"observedGeneration": 1, "disruptionsAllowed": 0, **status},
            },
        )


def test_binding_assigns_the_node_once() -> None:
    world = World()
    world.objects.put(core.POD, pod())
    world.objects.put(core.NODE, {"metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": "z"}}})
    assert world.bind("n1")["status"] == "Success"
    bound = world.objects.cached(core.POD, "web", "default")
    assert bound is not None
    assert bound["spec"]["nodeName"] == "n1"
    assert bound["metadata"]["labels"]["topology.kubernetes.io/zone"] == "z"
    assert {"PodScheduled": "True"}.items() <= {c["type"]: c["status"] for c in bound["status"]["conditions"]}.items()
    assert [c["lastProbeTime"] for c in bound["status"]["conditions"] if c["type"] == "PodScheduled"] == [None]
    with pytest.raises(Conflict, match='pod web is already assigned to node "n1"'):
        world.bind("n2")


def test_binding_refuses_another_pod_of_the_name_and_one_that_goes() -> None:
    world = World()
    world.objects.put(core.POD, pod())
    with pytest.raises(Conflict, match="Precondition failed"):
        world.bind("n1", uid="another")
    with pytest.raises(StatusError, match=r"target\.name: Required value"):
        world.bind("")
    gone = pod("gone")
    gone["metadata"] |= {"name": "web", "deletionTimestamp": "2026-01-01T00:00:00Z"}
    world.objects.put(core.POD, gone)
    with pytest.raises(Conflict, match="is being deleted, cannot be assigned to a host"):
        world.bind("n1")


def test_eviction_without_a_budget_deletes() -> None:
    world = World()
    world.objects.put(core.POD, pod())
    world.evict()
    with pytest.raises(NotFound):
        asyncio.run(world.objects.get(core.POD, "web", "default"))


def test_an_evicted_pod_says_so_while_it_goes() -> None:
    world, seen = World(), list[Any]()
    world.objects.put(core.POD, pod())
    world.objects.subscribe(core.POD, lambda _, each: seen.append(condition_of(each, "DisruptionTarget")))
    world.evict()
    said = next(condition for condition in seen if condition is not None)
    assert (said["status"], said["reason"], said["lastProbeTime"]) == ("True", "EvictionByEvictionAPI", None)


def test_eviction_spends_the_budget_and_stops_when_it_is_spent() -> None:
    world = World()
    world.objects.put(core.POD, pod())
    world.budget(disruptionsAllowed=1, desiredHealthy=2, currentHealthy=3)
    world.evict()
    budget = world.objects.cached(policy.POD_DISRUPTION_BUDGET, "pdb", "default")
    assert budget is not None
    assert budget["status"]["disruptionsAllowed"] == 0
    assert "web" in budget["status"]["disruptedPods"]
    world.objects.put(core.POD, pod())
    with pytest.raises(TooManyRequests) as refused:
        world.evict()
    assert refused.value.message == "Cannot evict pod as it would violate the pod's disruption budget."
    assert refused.value.details == {
        "causes": [
            {
                "reason": "DisruptionBudget",
                "message": "The disruption budget pdb needs 2 healthy pods and has 3 currently",
            }
        ]
    }


def test_a_budget_not_yet_observed_says_when_to_retry() -> None:
    world = World()
    world.objects.put(core.POD, pod())
    world.budget(observedGeneration=0, disruptionsAllowed=1)
    with pytest.raises(TooManyRequests) as refused:
        world.evict()
    assert refused.value.details is not None
    assert refused.value.details["retryAfterSeconds"] == 10


def test_who_is_unhealthy_or_not_yet_running_may_go() -> None:
    world = World()
    world.budget(desiredHealthy=2, currentHealthy=2)
    world.objects.put(core.POD, pod(ready=False))
    world.evict()
    world.objects.put(core.POD, pod(phase="Pending"))
    world.evict()


def test_two_budgets_for_a_pod_are_an_error() -> None:
    world = World()
    world.objects.put(core.POD, pod())
    world.budget("a", disruptionsAllowed=1)
    world.budget("b", disruptionsAllowed=1)
    with pytest.raises(InternalError, match="more than one PodDisruptionBudget"):
        world.evict()


def test_token_request_binds_to_the_pod() -> None:
    world = World()
    account = world.objects.put(core.SERVICE_ACCOUNT, {"metadata": {"name": "app", "namespace": "default"}})
    world.objects.put(core.NODE, {"metadata": {"name": "n1"}})
    stored = world.objects.put(core.POD, pod(node="n1"))
    reference = {"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": stored["metadata"]["uid"]}
    spec = {"audiences": ["vault"], "expirationSeconds": 600, "boundObjectRef": reference}
    answered = world.post("serviceaccounts", "token", {"spec": spec}, name="app")
    assert answered["status"]["expirationTimestamp"] == "2027-01-15T08:10:00Z"
    claims = jwt.decode(answered["status"]["token"], options={"verify_signature": False})
    assert claims["aud"] == ["vault"]
    assert claims["sub"] == "system:serviceaccount:default:app"
    assert claims["kubernetes.io"]["serviceaccount"]["uid"] == account["metadata"]["uid"]
    assert claims["kubernetes.io"]["pod"]["name"] == "web"
    assert claims["kubernetes.io"]["node"]["name"] == "n1"


def test_token_request_refuses_what_does_not_fit() -> None:
    world = World()
    world.objects.put(core.SERVICE_ACCOUNT, {"metadata": {"name": "app", "namespace": "default"}})
    world.objects.put(core.SERVICE_ACCOUNT, {"metadata": {"name": "other", "namespace": "default"}})
    world.objects.put(core.POD, pod())

    def ask(name: str = "app", **spec: Any) -> None:
        world.post("serviceaccounts", "token", {"spec": spec}, name=name)

    with pytest.raises(Invalid, match="may not specify a duration less than 10 minutes"):
        ask(expirationSeconds=300)
    with pytest.raises(BadRequest, match="different serviceaccount name"):
        ask("other", boundObjectRef={"apiVersion": "v1", "kind": "Pod", "name": "web"})
    with pytest.raises(Conflict, match="does not match the UID in record"):
        ask(boundObjectRef={"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": "x"})
    with pytest.raises(NotFound):
        ask("absent")


def test_a_node_acts_only_for_its_own_pods() -> None:
    world = World()
    node = User("system:node:n1", ("system:nodes",))
    world.objects.put(core.SERVICE_ACCOUNT, {"metadata": {"name": "app", "namespace": "default"}})
    uid = world.objects.put(core.POD, pod(node="n2"))["metadata"]["uid"]
    with pytest.raises(Forbidden, match="can only evict pods"):
        world.post("pods", "eviction", {"metadata": {"name": "web"}}, user=node)
    with pytest.raises(Forbidden, match="not bound to a pod"):
        world.post("serviceaccounts", "token", {"spec": {}}, name="app", user=node)
    reference = {"apiVersion": "v1", "kind": "Pod", "name": "web"}

    def ask(**spec: Any) -> dict[str, Any]:
        return world.post("serviceaccounts", "token", {"spec": spec}, name="app", user=node)

    with pytest.raises(Forbidden, match="without a uid"):
        ask(boundObjectRef=reference)
    with pytest.raises(Forbidden, match="scheduled on a different node"):
        ask(boundObjectRef={**reference, "uid": uid})
    here = pod(node="n1")
    sources = [{"serviceAccountToken": {"path": "token"}}, {"serviceAccountToken": {"audience": "vault"}}]
    driver = {"metadata": {"name": "d.example"}, "spec": {"tokenRequests": [{"audience": "csi"}]}}
    world.objects.put(storage.CSI_DRIVER, driver)
    here["spec"]["volumes"] = [{"projected": {"sources": sources}}, {"csi": {"driver": "d.example"}}]
    uid = world.objects.put(core.POD, here)["metadata"]["uid"]
    bound = {"boundObjectRef": {**reference, "uid": uid}}
    for audiences in ([], ["vault"], ["csi"]):
        assert ask(**bound, audiences=audiences)["status"]["token"]
    with pytest.raises(Forbidden, match='audience "other" not found in pod spec volume'):
        ask(**bound, audiences=["other"])
    with pytest.raises(Forbidden, match="0 or 1 audiences"):
        ask(**bound, audiences=["vault", "csi"])


def test_a_token_request_is_for_the_account_it_names() -> None:
    world = World()
    account = world.objects.put(core.SERVICE_ACCOUNT, {"metadata": {"name": "app", "namespace": "default"}})

    def ask(metadata: dict[str, Any], **spec: Any) -> dict[str, Any]:
        return world.post("serviceaccounts", "token", {"metadata": metadata, "spec": spec}, name="app")

    answered = ask({"uid": account["metadata"]["uid"], "namespace": "default", "name": "app"})
    assert answered["metadata"]["uid"] == account["metadata"]["uid"]
    (entry,) = answered["metadata"]["managedFields"]
    assert entry["fieldsV1"] == {"f:spec": {"f:expirationSeconds": {}}}
    assert "typ" not in jwt.get_unverified_header(answered["status"]["token"])
    with pytest.raises(Invalid, match="must match the service account name"):
        ask({"name": "other"})
    with pytest.raises(Conflict, match="does not match the UID of the service account"):
        ask({"uid": "other"})
    for reference, shown in (({}, "/, Kind="), ({"apiVersion": "apps/v1", "kind": "Pod"}, "apps/v1, Kind=Pod")):
        with pytest.raises(BadRequest, match=shown):
            ask({}, boundObjectRef=reference)


@pytest.mark.parametrize("metadata", [{}, {"name": ""}, {"name": "other"}])
@pytest.mark.parametrize("subresource", ["binding", "eviction"])
def test_what_is_posted_below_a_pod_names_it(subresource: str, metadata: dict[str, str]) -> None:
    world = World()
    world.objects.put(core.POD, pod())
    with pytest.raises(BadRequest, match=r"name in URL does not match name in (Binding|Eviction) object"):
        world.post("pods", subresource, {"metadata": metadata, "target": {"name": "n1"}})


@pytest.mark.parametrize("subresource", ["binding", "eviction"])
def test_a_namespace_that_is_not_there_is_missed_before_its_pod(subresource: str) -> None:
    world = World()
    asyncio.run(world.objects.delete(core.NAMESPACE, "default"))
    with pytest.raises(NotFound, match='namespaces "default" not found'):
        world.post("pods", subresource, {"metadata": {"name": "web"}})
