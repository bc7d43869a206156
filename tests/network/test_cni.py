import json
from pathlib import Path

from kajitori.network.cni import CONFLIST, conflist, plan_pod_bridge, write_conflist


def test_the_conflist_gives_addresses_of_the_nodes_range_with_hairpin_and_port_mappings(tmp_path: Path) -> None:
    bridge, portmap = conflist("10.244.3.0/24", tmp_path, 1450)["plugins"]
    assert bridge["ipam"] == {
        "type": "host-local",
        "ranges": [[{"subnet": "10.244.3.0/24"}]],
        "dataDir": str(tmp_path),
    }
    assert (bridge["hairpinMode"], bridge["mtu"], bridge["ipMasq"]) == (True, 1450, False)
    assert portmap["capabilities"] == {"portMappings": True}


def test_the_file_is_replaced_only_when_it_changes_and_leaves_no_draft(tmp_path: Path) -> None:
    first, second = conflist("10.244.0.0/24", tmp_path, 1500), conflist("10.244.1.0/24", tmp_path, 1500)
    assert write_conflist(tmp_path / "net.d", first)
    assert not write_conflist(tmp_path / "net.d", first)
    assert write_conflist(tmp_path / "net.d", second)
    assert [path.name for path in (tmp_path / "net.d").iterdir()] == [CONFLIST]
    assert json.loads((tmp_path / "net.d" / CONFLIST).read_text()) == second


def test_the_pod_bridge_translates_bridged_traffic_and_drops_addresses_of_an_earlier_range() -> None:
    commands = plan_pod_bridge({"cni-kajitori": frozenset({"10.244.7.1/24"})}, "10.244.1.0/24", 1500)
    assert commands == [
        "address delete 10.244.7.1/24 dev cni-kajitori",
        "address add 10.244.1.1/24 dev cni-kajitori",
        "link set cni-kajitori type bridge nf_call_iptables 1",
        "link set cni-kajitori up",
    ]
