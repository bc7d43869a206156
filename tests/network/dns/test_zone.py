from collections.abc import Iterable
from typing import Any

import dns.name
import dns.rcode
import dns.rdatatype
import pytest

from kajitori.api.meta import Object, ObjectKey
from kajitori.network.dns.zone import Answer, Zone, ZoneConfig


def service(name: str, namespace: str = "shop", **spec: Any) -> Object:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": spec}


def slice_of(name: str, *endpoints: dict[str, Any], namespace: str = "shop") -> Object:
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"name": "sql", "protocol": "TCP", "port": 5432}],
        "endpoints": list(endpoints),
    }


SERVICES = [
    service("web", clusterIP="10.96.0.7", clusterIPs=["10.96.0.7"], ports=[{"name": "http", "port": 80}]),
    service("db", clusterIP="None", clusterIPs=["None"]),
    service("empty", clusterIP="None", clusterIPs=["None"]),
    service("away", type="ExternalName", externalName="db.example.org"),
    service("alias", type="ExternalName", externalName="web.shop.svc.cluster.local"),
]
SLICES = [
    slice_of(
        "db",
        {"addresses": ["10.244.0.2"], "hostname": "db-0", "conditions": {"ready": True}},
        {"addresses": ["10.244.1.2"], "conditions": {}},
        {"addresses": ["10.244.1.3"], "conditions": {"ready": False}},
    )
]


class FixedDirectory:
    def service(self, key: ObjectKey) -> Object | None:
        return next((s for s in SERVICES if (s["metadata"]["namespace"], s["metadata"]["name"]) == key), None)

    def slices(self, key: ObjectKey) -> Iterable[Object]:
        return [s for s in SLICES if (s["metadata"]["namespace"], s["metadata"]["name"]) == key]

    def services_at(self, ip: str) -> Iterable[Object]:
        return [s for s in SERVICES if ip in s["spec"].get("clusterIPs", ())]

    def slices_with(self, ip: str) -> Iterable[Object]:
        return [s for s in SLICES if any(ip in e["addresses"] for e in s["endpoints"])]

    def has_namespace(self, name: str) -> bool:
        return name == "shop"


ZONE = Zone(ZoneConfig(), FixedDirectory())


def ask(name: str, kind: str = "A") -> Answer | None:
    return ZONE.answer(dns.name.from_text(name), dns.rdatatype.from_text(kind))


def texts(found: Answer | None) -> list[str]:
    assert found is not None
    return [record.to_text() for rrset in found.answers for record in rrset]


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("web.shop.svc.cluster.local", "A", ["10.96.0.7"]),
        ("WEB.Shop.svc.Cluster.local", "A", ["10.96.0.7"]),
        ("db.shop.svc.cluster.local", "A", ["10.244.0.2", "10.244.1.2"]),
        ("db-0.db.shop.svc.cluster.local", "A", ["10.244.0.2"]),
        ("10-244-1-2.db.shop.svc.cluster.local", "A", ["10.244.1.2"]),
        ("10-244-9-9.shop.pod.cluster.local", "A", ["10.244.9.9"]),
        ("dns-version.cluster.local", "TXT", ['"1.1.0"']),
        ("_http._tcp.web.shop.svc.cluster.local", "SRV", ["0 100 80 web.shop.svc.cluster.local."]),
        ("web.shop.svc.cluster.local", "SRV", ["0 100 80 web.shop.svc.cluster.local."]),
        (
            "_sql._tcp.db.shop.svc.cluster.local",
            "SRV",
            ["0 50 5432 10-244-1-2.db.shop.svc.cluster.local.", "0 50 5432 db-0.db.shop.svc.cluster.local."],
        ),
        ("7.0.96.10.in-addr.arpa", "PTR", ["web.shop.svc.cluster.local."]),
        ("2.0.244.10.in-addr.arpa", "PTR", ["db-0.db.shop.svc.cluster.local."]),
        ("alias.shop.svc.cluster.local", "A", ["web.shop.svc.cluster.local.", "10.96.0.7"]),
        ("ns.dns.cluster.local", "A", ["10.96.0.10"]),
        ("cluster.local", "NS", ["ns.dns.cluster.local."]),
    ],
)
def test_names_of_the_cluster(name: str, kind: str, expected: list[str]) -> None:
    assert sorted(texts(ask(name, kind))) == sorted(expected)


@pytest.mark.parametrize(
    "name",
    [
        "gone.shop.svc.cluster.local",
        "web.nowhere.svc.cluster.local",
        "empty.shop.svc.cluster.local",
        "db-1.db.shop.svc.cluster.local",
        "_none._tcp.web.shop.svc.cluster.local",
        "not-an-ip.shop.pod.cluster.local",
        "example.org.cluster.local",
        "nowhere.svc.cluster.local",
    ],
)
def test_what_does_not_exist_is_denied_with_the_zones_authority(name: str) -> None:
    found = ask(name, "SRV" if name.startswith("_") else "A")
    assert found is not None
    assert found.rcode == dns.rcode.NXDOMAIN
    assert [rrset.rdtype for rrset in found.authority] == [dns.rdatatype.SOA]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("web.shop.svc.cluster.local", "AAAA"),
        ("db.shop.svc.cluster.local", "MX"),
        ("shop.svc.cluster.local", "A"),
        ("svc.cluster.local", "A"),
        ("_sql._tcp.db.shop.svc.cluster.local", "A"),
        ("_http._tcp.web.shop.svc.cluster.local", "A"),
    ],
)
def test_a_name_without_such_a_record_exists_all_the_same(name: str, kind: str) -> None:
    found = ask(name, kind)
    assert found is not None
    assert (found.rcode, found.answers) == (dns.rcode.NOERROR, [])
    assert [rrset.rdtype for rrset in found.authority] == [dns.rdatatype.SOA]


def test_an_external_name_is_an_alias_to_be_followed_outside() -> None:
    found = ask("away.shop.svc.cluster.local")
    assert texts(found) == ["db.example.org."]
    assert found is not None
    assert found.follow == dns.name.from_text("db.example.org")


def test_srv_answers_bring_the_addresses_of_their_targets() -> None:
    found = ask("_sql._tcp.db.shop.svc.cluster.local", "SRV")
    assert found is not None
    assert {(r.name.to_text(), r[0].to_text()) for r in found.additional} == {
        ("10-244-1-2.db.shop.svc.cluster.local.", "10.244.1.2"),
        ("db-0.db.shop.svc.cluster.local.", "10.244.0.2"),
    }


def test_other_names_are_not_ours() -> None:
    assert ask("example.org") is None
    assert ask("1.2.0.192.in-addr.arpa", "PTR") is None


def test_an_unused_address_of_the_cluster_is_denied_here() -> None:
    found = ask("9.9.96.10.in-addr.arpa", "PTR")
    assert found is not None
    assert found.rcode == dns.rcode.NXDOMAIN
