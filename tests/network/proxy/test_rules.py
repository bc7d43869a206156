from typing import Any

from kajitori.network.proxy.endpoints import NodeView
from kajitori.network.proxy.rules import RuleConfig, chain_name, compile_rules, compile_service, udp_endpoints
from kajitori.network.proxy.ruleset import Ruleset
from kajitori.network.proxy.table import DEAD_IPS, DEAD_PORTS, HAIRPIN, NODE_PORTS, SERVICE_IPS

CONFIG = RuleConfig(NodeView("one"))
WEB = chain_name("default/web/tcp/80")


def service(**spec: Any) -> dict[str, Any]:
    ports = [{"port": 80, "protocol": "TCP", "targetPort": 8080}]
    return {
        "metadata": {"namespace": "default", "name": "web"},
        "spec": {"clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7"], "type": "ClusterIP", "ports": ports, **spec},
    }


def slice_of(*entries: tuple[str, str], protocol: str = "TCP") -> dict[str, Any]:
    return {
        "metadata": {"namespace": "default", "name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"port": 8080, "protocol": protocol}],
        "endpoints": [{"addresses": [ip], "nodeName": node, "conditions": {"ready": True}} for ip, node in entries],
    }


BOTH = slice_of(("10.244.0.2", "one"), ("10.244.1.2", "two"))


def compiled(slices: dict[str, Any] = BOTH, **spec: Any) -> Ruleset:
    return compile_service(service(**spec), [slices], CONFIG)


def test_a_cluster_ip_is_balanced_over_all_endpoints() -> None:
    rules = compiled()
    assert rules.maps[SERVICE_IPS] == {"10.96.0.7 . tcp . 80": f"goto svc-{WEB}"}
    assert rules.chains[f"svc-{WEB}"] == (
        "meta l4proto tcp dnat ip to numgen random mod 2 map { 0 : 10.244.0.2 . 8080, 1 : 10.244.1.2 . 8080 }",
    )
    assert rules.elements[HAIRPIN] == {"10.244.0.2 . 10.244.0.2", "10.244.1.2 . 10.244.1.2"}


def test_one_endpoint_needs_no_dice() -> None:
    rules = compiled(slice_of(("10.244.0.2", "one")))
    assert rules.chains[f"svc-{WEB}"] == ("meta l4proto tcp dnat ip to 10.244.0.2:8080",)


def test_without_endpoints_every_address_refuses() -> None:
    ports = [{"port": 80, "protocol": "TCP", "nodePort": 30080}]
    rules = compiled(slice_of(), type="NodePort", ports=ports, externalIPs=["192.0.2.9"])
    assert rules.maps[DEAD_IPS] == {"10.96.0.7 . tcp . 80": "goto refuse", "192.0.2.9 . tcp . 80": "goto refuse"}
    assert rules.maps[DEAD_PORTS] == {"tcp . 30080": "goto refuse"}
    assert rules.chains == {}


def test_headless_external_name_and_foreign_services_have_no_rules() -> None:
    assert compiled(clusterIP="None", clusterIPs=["None"]) == Ruleset()
    assert compiled(type="ExternalName", clusterIP="", clusterIPs=[]) == Ruleset()
    foreign = service()
    foreign["metadata"]["labels"] = {"service.kubernetes.io/service-proxy-name": "other"}
    assert compile_service(foreign, [BOTH], CONFIG) == Ruleset()


def test_a_node_port_is_masqueraded_under_the_cluster_policy() -> None:
    rules = compiled(type="NodePort", ports=[{"port": 80, "nodePort": 30080}])
    assert rules.maps[NODE_PORTS] == {"tcp . 30080": f"goto ext-{WEB}"}
    assert rules.chains[f"ext-{WEB}"] == ("meta mark set meta mark | 0x4000", f"goto svc-{WEB}")


def test_under_the_local_policy_strangers_keep_their_address_and_reach_only_local_endpoints() -> None:
    ports = [{"port": 80, "nodePort": 30080}]
    rules = compiled(type="NodePort", ports=ports, externalTrafficPolicy="Local")
    assert rules.chains[f"ext-{WEB}"] == (
        f"ip saddr 10.244.0.0/16 goto svc-{WEB}",
        "fib saddr type local meta mark set meta mark | 0x4000",
        f"fib saddr type local goto svc-{WEB}",
        f"goto loc-{WEB}",
    )
    assert rules.chains[f"loc-{WEB}"] == ("meta l4proto tcp dnat ip to 10.244.0.2:8080",)


def test_under_the_local_policy_a_node_without_endpoints_drops() -> None:
    ports = [{"port": 80, "nodePort": 30080}]
    elsewhere = slice_of(("10.244.1.2", "two"))
    rules = compiled(elsewhere, type="NodePort", ports=ports, externalTrafficPolicy="Local")
    assert rules.chains[f"ext-{WEB}"][-1] == "drop"
    rules = compiled(elsewhere, internalTrafficPolicy="Local")
    assert rules.maps[SERVICE_IPS] == {"10.96.0.7 . tcp . 80": "drop"}


def test_an_internal_policy_of_local_sends_the_cluster_ip_to_local_endpoints() -> None:
    rules = compiled(internalTrafficPolicy="Local")
    assert rules.maps[SERVICE_IPS] == {"10.96.0.7 . tcp . 80": f"goto loc-{WEB}"}


def test_load_balancer_addresses_count_unless_they_are_proxied_and_may_be_limited() -> None:
    balanced = service(type="LoadBalancer", loadBalancerSourceRanges=["198.51.100.0/24"])
    balanced["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}, {"ip": "192.0.2.8", "ipMode": "Proxy"}]}}
    rules = compile_service(balanced, [BOTH], CONFIG)
    assert rules.maps[SERVICE_IPS] == {
        "10.96.0.7 . tcp . 80": f"goto svc-{WEB}",
        "192.0.2.7 . tcp . 80": f"goto lb-{WEB}",
    }
    assert rules.chains[f"lb-{WEB}"] == ("ip saddr != { 198.51.100.0/24 } drop", f"goto ext-{WEB}")


def test_session_affinity_remembers_the_endpoint_of_a_client() -> None:
    rules = compiled(sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 90}})
    first, second = f"{WEB}_10.244.0.2/8080", f"{WEB}_10.244.1.2/8080"
    assert rules.affinity == {f"aff-{first}", f"aff-{second}"}
    assert rules.chains[f"svc-{WEB}"] == (
        f"ip saddr @aff-{first} goto ep-{first}",
        f"ip saddr @aff-{second} goto ep-{second}",
        f"numgen random mod 2 vmap {{ 0 : goto ep-{first}, 1 : goto ep-{second} }}",
    )
    assert rules.chains[f"ep-{first}"] == (
        f"update @aff-{first} {{ ip saddr timeout 90s }}",
        "meta l4proto tcp dnat ip to 10.244.0.2:8080",
    )


def test_udp_destinations_know_who_may_answer() -> None:
    dns = service(type="NodePort", ports=[{"port": 80, "protocol": "UDP", "nodePort": 30053}])
    found = udp_endpoints(dns, [slice_of(("10.244.0.2", "one"), protocol="UDP")], CONFIG)
    assert found == {("10.96.0.7", 80): {("10.244.0.2", 8080)}, ("", 30053): {("10.244.0.2", 8080)}}


def test_names_are_unique_accepted_and_short() -> None:
    long = chain_name("n" * 63 + "/" + "s" * 63 + "/tcp/80")
    assert len(long) <= 100
    assert long != chain_name("n" * 63 + "/" + "s" * 63 + "/tcp/81")


def test_the_whole_table_does_not_depend_on_the_order_of_its_input() -> None:
    other = service(clusterIP="10.96.0.8", clusterIPs=["10.96.0.8"])
    other["metadata"]["name"] = "api"
    assert compile_rules([service(), other], [BOTH], CONFIG) == compile_rules([other, service()], [BOTH], CONFIG)
