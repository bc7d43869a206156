from typing import Any

from kajitori.api.core import CONFIG_MAP, NAMESPACE, POD, SECRET, SERVICE_ACCOUNT
from kajitori.api.meta import condition_of
from kajitori.controllers.discovery import DiscoveryController
from kajitori.controllers.namespace import Leftovers, NamespaceController, conditions_of
from kajitori.controllers.namespace_content import RootCAPublisher, ServiceAccountController
from kajitori.controllers.settings import Settings

LOOPS = [DiscoveryController, NamespaceController]


def put_namespace(loops: Any, name: str = "team") -> None:
    loops.api.put(
        NAMESPACE, {"metadata": {"name": name}, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
    )


def make(name: str, **meta: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "team", **meta}}


def test_conditions_say_what_is_left_and_what_holds_it() -> None:
    left = Leftovers()
    left.add(POD, [make("a", finalizers=["x/y"]), make("b")])
    remaining, finalizers = conditions_of(left)[3:]
    assert remaining["message"] == "Some resources are remaining: pods has 2 resource instances"
    assert (
        finalizers["message"] == "Some content in the namespace has finalizers remaining: x/y in 1 resource instances"
    )
    assert [c["status"] for c in conditions_of(Leftovers())] == ["False"] * 5


def test_pods_go_first_then_the_rest_then_the_namespace(loops: Any) -> None:
    loops.api.kinds = [POD, SECRET, CONFIG_MAP]

    async def scenario() -> None:
        put_namespace(loops)
        loops.api.put(POD, {**make("slow"), "spec": {"nodeName": "n"}})
        loops.api.put(SECRET, make("password"))
        await loops.settle()
        await loops.api.delete(NAMESPACE, "team")
        await loops.settle()
        assert "deletionTimestamp" in loops.api.one(POD, "slow", "team")["metadata"]
        assert len(loops.api.all(SECRET)) == 1
        remaining = condition_of(loops.api.one(NAMESPACE, "team"), "NamespaceContentRemaining")
        assert remaining is not None and remaining["status"] == "True"
        loops.api.remove(POD, "slow", "team")
        await loops.settle()
        assert loops.api.all(SECRET) == loops.api.all(NAMESPACE) == []

    loops.run(LOOPS, scenario)


def test_a_finalizer_holds_the_namespace_and_is_named(loops: Any) -> None:
    loops.api.kinds = [SECRET]

    async def scenario() -> None:
        put_namespace(loops)
        loops.api.put(SECRET, make("held", finalizers=["example.com/wait"]))
        await loops.settle()
        await loops.api.delete(NAMESPACE, "team")
        await loops.settle()
        held = condition_of(loops.api.one(NAMESPACE, "team"), "NamespaceFinalizersRemaining")
        assert held is not None and "example.com/wait in 1 resource instances" in held["message"]
        loops.api.edit(SECRET, "held", lambda s: s["metadata"].pop("finalizers"), "team")
        await loops.settle()
        assert loops.api.all(NAMESPACE) == []

    loops.run(LOOPS, scenario)


def test_a_namespace_begins_with_its_service_account_and_root_certificate(loops: Any) -> None:
    async def scenario() -> None:
        put_namespace(loops)
        await loops.settle()
        assert loops.api.one(CONFIG_MAP, "kube-root-ca.crt", "team")["data"] == {"ca.crt": "PEM"}
        loops.api.edit(CONFIG_MAP, "kube-root-ca.crt", lambda c: c.update(data={}), "team")
        loops.api.remove(SERVICE_ACCOUNT, "default", "team")
        await loops.settle()
        assert loops.api.one(CONFIG_MAP, "kube-root-ca.crt", "team")["data"] == {"ca.crt": "PEM"}
        assert loops.api.one(SERVICE_ACCOUNT, "default", "team")
        loops.api.edit(NAMESPACE, "team", lambda n: n["status"].update(phase="Terminating"))
        loops.api.remove(SERVICE_ACCOUNT, "default", "team")
        await loops.settle()
        assert loops.api.all(SERVICE_ACCOUNT) == []

    loops.run([ServiceAccountController, RootCAPublisher], scenario, Settings(root_ca_pem="PEM"))
