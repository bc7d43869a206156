from typing import Any

from kajitori.api.core import ENDPOINTS, NODE, POD, SERVICE
from kajitori.api.discovery import ENDPOINT_SLICE
from kajitori.controllers.endpoints import slices
from kajitori.controllers.endpoints.endpointslice import EndpointSliceController
from kajitori.controllers.endpoints.legacy import EndpointsController
from kajitori.controllers.endpoints.mirroring import EndpointSliceMirroringController
from kajitori.controllers.endpoints.service_pods import endpoint, ports

OWNER = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "default", "uid": "s1"}}
DRESS = slices.Dress(OWNER, "web", {"a": "b"}, {})


def make_service(**spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "web", "namespace": "default", "labels": {"tier": "front"}},
        "spec": {
            "selector": {"app": "web"},
            "clusterIP": "10.96.0.7",
            "ipFamilies": ["IPv4"],
            "ports": [{"name": "http", "port": 80, "targetPort": "web", "protocol": "TCP"}],
            **spec,
        },
    }


def make_pod(name: str, ip: str = "10.244.0.5", ready: bool = True, port: int = 8080, **extra: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": name,
            "labels": {"app": "web"},
            **extra.get("metadata", {}),
        },
        "spec": {
            "nodeName": "n1",
            "containers": [{"name": "c", "ports": [{"name": "web", "containerPort": port}]}],
            **extra.get("spec", {}),
        },
        "status": {
            "phase": extra.get("phase", "Running"),
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "conditions": [{"type": "Ready", "status": str(ready)}],
        },
    }


def entry(number: int) -> dict[str, Any]:
    return {"addresses": [f"10.0.{number // 250}.{number % 250}"], "targetRef": {"uid": str(number)}}


def stored(name: str, endpoints: list[dict[str, Any]]) -> dict[str, Any]:
    meta = {"name": name, "labels": {"a": "b"}, "annotations": {}}
    return {"metadata": meta, "addressType": "IPv4", "ports": [{"port": 1}], "endpoints": endpoints}


def group(numbers: range) -> slices.Group:
    return slices.Group("IPv4", [{"port": 1}], [entry(n) for n in numbers])


def test_a_slice_holds_at_most_a_hundred() -> None:
    plan = slices.plan([group(range(250))], [], DRESS)
    assert [len(s["endpoints"]) for s in plan.create] == [100, 100, 50]


def test_endpoints_stay_where_they_are_and_newcomers_fill_gaps() -> None:
    full, partly = stored("a", [entry(n) for n in range(100)]), stored("b", [entry(n) for n in range(100, 150)])
    plan = slices.plan([group(range(160))], [full, partly], DRESS)
    assert (plan.create, plan.delete) == ([], [])
    assert [s["metadata"]["name"] for s in plan.update] == ["b"]
    assert len(plan.update[0]["endpoints"]) == 60


def test_an_empty_slice_goes_while_others_remain() -> None:
    plan = slices.plan([group(range(1))], [stored("a", [entry(0)]), stored("b", [entry(1)])], DRESS)
    assert [s["metadata"]["name"] for s in plan.delete] == ["b"]


def test_nothing_is_planned_when_nothing_differs() -> None:
    assert slices.plan([group(range(3))], [stored("a", [entry(n) for n in range(3)])], DRESS) == slices.Plan([], [], [])


def test_a_service_without_endpoints_keeps_a_placeholder() -> None:
    empty = slices.Group("IPv4", [])
    plan = slices.plan([empty], [], DRESS)
    assert plan.create[0]["endpoints"] == []
    assert [s["endpoints"] for s in slices.plan([empty], [stored("a", [entry(0)])], DRESS).update] == [[]]


def test_conditions_of_a_terminating_pod() -> None:
    pod = make_pod("a", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    assert endpoint(make_service(), pod, "10.0.0.1", "")["conditions"] == {
        "ready": False,
        "serving": True,
        "terminating": True,
    }
    tolerant = make_service(publishNotReadyAddresses=True)
    assert endpoint(tolerant, pod, "10.0.0.1", "")["conditions"]["ready"] is True


def test_a_host_name_is_published_under_the_matching_subdomain_only() -> None:
    pod = make_pod("a", spec={"hostname": "a", "subdomain": "web"})
    assert endpoint(make_service(), pod, "10.0.0.1", "")["hostname"] == "a"
    other = make_pod("a", spec={"hostname": "a", "subdomain": "db"})
    assert "hostname" not in endpoint(make_service(), other, "10.0.0.1", "")


def test_named_ports_resolve_in_each_pod_and_missing_ones_are_left_out() -> None:
    service = make_service(ports=[{"port": 80, "targetPort": "web"}, {"name": "x", "port": 81, "targetPort": "none"}])
    assert ports(service, make_pod("a", port=9000)) == [{"name": "", "protocol": "TCP", "port": 9000}]


def test_traffic_distribution_gives_hints() -> None:
    found = endpoint(make_service(trafficDistribution="PreferSameNode"), make_pod("a"), "10.0.0.1", "z1")
    assert found["hints"] == {"forZones": [{"name": "z1"}], "forNodes": [{"name": "n1"}]}


def test_slices_follow_their_pods(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(NODE, {"metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": "z1"}}})
        loops.api.put(SERVICE, make_service())
        await loops.settle()
        (placeholder,) = loops.api.all(ENDPOINT_SLICE)
        assert placeholder["endpoints"] == []
        assert placeholder["metadata"]["labels"] == {
            "tier": "front",
            "kubernetes.io/service-name": "web",
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        }
        assert placeholder["metadata"]["ownerReferences"][0]["kind"] == "Service"
        loops.api.put(POD, make_pod("a"))
        loops.api.put(POD, make_pod("b", ip="10.244.0.6", ready=False))
        await loops.settle()
        (found,) = loops.api.all(ENDPOINT_SLICE)
        assert [(e["addresses"], e["conditions"]["ready"], e["zone"]) for e in found["endpoints"]] == [
            (["10.244.0.5"], True, "z1"),
            (["10.244.0.6"], False, "z1"),
        ]
        assert found["ports"] == [{"name": "http", "protocol": "TCP", "port": 8080}]
        loops.api.edit(POD, "a", lambda p: p["metadata"].update(deletionTimestamp=loops.now()))
        await loops.clock.settle()
        (found,) = loops.api.all(ENDPOINT_SLICE)
        assert found["endpoints"][0]["conditions"] == {"ready": False, "serving": True, "terminating": True}
        loops.api.remove(POD, "a")
        loops.api.edit(POD, "b", lambda p: p["status"].update(phase="Failed"))
        await loops.clock.settle()
        assert [s["endpoints"] for s in loops.api.all(ENDPOINT_SLICE)] == [[]]

    loops.run([EndpointSliceController], scenario)


def test_pods_whose_named_port_differs_are_in_slices_of_their_own(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(SERVICE, make_service())
        loops.api.put(POD, make_pod("a", port=8080))
        loops.api.put(POD, make_pod("b", ip="10.244.0.6", port=9090))
        await loops.settle()
        assert sorted(s["ports"][0]["port"] for s in loops.api.all(ENDPOINT_SLICE)) == [8080, 9090]

    loops.run([EndpointSliceController], scenario)


def test_a_headless_service_without_ports_lists_its_pods(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(SERVICE, make_service(clusterIP="None", ports=[]))
        loops.api.put(POD, make_pod("a"))
        await loops.settle()
        (found,) = loops.api.all(ENDPOINT_SLICE)
        assert (len(found["endpoints"]), found["ports"]) == (1, [])
        assert found["metadata"]["labels"]["service.kubernetes.io/headless"] == ""

    loops.run([EndpointSliceController], scenario)


def test_a_deleted_slice_is_made_again(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(SERVICE, make_service())
        await loops.settle()
        loops.api.remove(ENDPOINT_SLICE, loops.api.all(ENDPOINT_SLICE)[0]["metadata"]["name"])
        await loops.settle()
        assert len(loops.api.all(ENDPOINT_SLICE)) == 1

    loops.run([EndpointSliceController], scenario)


def test_legacy_endpoints_follow_and_go_with_their_service(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(ENDPOINTS, {"metadata": {"name": "by-hand", "namespace": "default"}, "subsets": []})
        loops.api.put(SERVICE, make_service())
        loops.api.put(POD, make_pod("a"))
        loops.api.put(POD, make_pod("b", ip="10.244.0.4"))
        loops.api.put(POD, make_pod("c", ip="10.244.0.6", ready=False))
        await loops.settle()
        (subset,) = loops.api.one(ENDPOINTS, "web")["subsets"]
        assert [a["ip"] for a in subset["addresses"]] == ["10.244.0.4", "10.244.0.5"]
        assert [a["ip"] for a in subset["notReadyAddresses"]] == ["10.244.0.6"]
        assert subset["ports"] == [{"name": "http", "protocol": "TCP", "port": 8080}]
        loops.api.remove(SERVICE, "web")
        await loops.settle()
        assert [e["metadata"]["name"] for e in loops.api.all(ENDPOINTS)] == ["by-hand"]

    loops.run([EndpointsController], scenario)


def test_hand_written_endpoints_are_mirrored(loops: Any) -> None:
    written = {
        "metadata": {"name": "web", "namespace": "default", "labels": {"db": "yes"}},
        "subsets": [{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 5432}]}],
    }

    async def scenario() -> None:
        loops.api.put(ENDPOINTS, written)
        await loops.settle()
        assert loops.api.all(ENDPOINT_SLICE) == []
        loops.api.put(SERVICE, make_service(selector=None))
        await loops.settle()
        (found,) = loops.api.all(ENDPOINT_SLICE)
        assert found["endpoints"] == [{"addresses": ["192.0.2.1"], "conditions": {"ready": True}}]
        assert found["metadata"]["labels"]["kubernetes.io/service-name"] == "web"
        assert found["metadata"]["ownerReferences"][0]["kind"] == "Endpoints"
        loops.api.edit(ENDPOINTS, "web", lambda e: e["subsets"][0].update(addresses=[{"ip": "192.0.2.2"}]))
        await loops.settle()
        assert loops.api.all(ENDPOINT_SLICE)[0]["endpoints"][0]["addresses"] == ["192.0.2.2"]
        loops.api.edit(
            ENDPOINTS,
            "web",
            lambda e: e["metadata"]["labels"].update({"endpointslice.kubernetes.io/skip-mirror": "true"}),
        )
        await loops.settle()
        assert loops.api.all(ENDPOINT_SLICE) == []

    loops.run([EndpointSliceController, EndpointsController, EndpointSliceMirroringController], scenario)
