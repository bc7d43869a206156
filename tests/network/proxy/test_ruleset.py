from kajitori.network.proxy.observed import parse_table
from kajitori.network.proxy.ruleset import UNKNOWN_RULES, Ruleset, difference, merge
from kajitori.network.proxy.table import HAIRPIN, SERVICE_IPS, TableConfig, version

OLD = Ruleset(
    chains={"svc-a": ("dnat to 1",), "svc-b": ("dnat to 2",), "ep-b": ("x",)},
    maps={SERVICE_IPS: {"ip-a": "goto svc-a", "ip-b": "goto svc-b"}},
    elements={HAIRPIN: frozenset({"p . p", "q . q"})},
    affinity=frozenset({"aff-b"}),
)


def test_equal_rulesets_need_no_transaction() -> None:
    assert difference("t", OLD, OLD) == ""


def test_only_the_changed_chain_is_written() -> None:
    new = Ruleset({**OLD.chains, "svc-a": ("dnat to 3",)}, OLD.maps, OLD.elements, OLD.affinity)
    assert difference("t", OLD, new).splitlines() == ["flush chain ip t svc-a", "add rule ip t svc-a dnat to 3"]


def test_what_goes_is_unreferenced_before_it_is_deleted() -> None:
    new = Ruleset({"svc-a": ("dnat to 1",)}, {SERVICE_IPS: {"ip-a": "goto svc-a"}}, {HAIRPIN: frozenset({"p . p"})})
    assert difference("t", OLD, new).splitlines() == [
        f"delete element ip t {SERVICE_IPS} {{ ip-b }}",
        f"delete element ip t {HAIRPIN} {{ q . q }}",
        "flush chain ip t ep-b",
        "flush chain ip t svc-b",
        "delete chain ip t ep-b",
        "delete chain ip t svc-b",
        "delete set ip t aff-b",
    ]


def test_what_comes_exists_before_anything_refers_to_it() -> None:
    lines = difference("t", Ruleset(), OLD).splitlines()
    assert lines[0].startswith("add set ip t aff-b")
    assert lines[1:4] == ["add chain ip t ep-b", "add chain ip t svc-a", "add chain ip t svc-b"]
    assert lines[-2:] == [
        f"add element ip t {SERVICE_IPS} {{ ip-a : goto svc-a, ip-b : goto svc-b }}",
        f"add element ip t {HAIRPIN} {{ p . p, q . q }}",
    ]


def test_a_key_moves_by_being_deleted_and_added() -> None:
    new = Ruleset(OLD.chains, {SERVICE_IPS: {"ip-a": "goto svc-b", "ip-b": "goto svc-b"}}, OLD.elements, OLD.affinity)
    assert difference("t", OLD, new).splitlines() == [
        f"delete element ip t {SERVICE_IPS} {{ ip-a }}",
        f"add element ip t {SERVICE_IPS} {{ ip-a : goto svc-b }}",
    ]


def test_the_first_claim_to_a_key_wins_and_shared_members_stay() -> None:
    first = Ruleset(maps={SERVICE_IPS: {"k": "goto a"}}, elements={HAIRPIN: frozenset({"p . p"})})
    second = Ruleset(maps={SERVICE_IPS: {"k": "goto b"}}, elements={HAIRPIN: frozenset({"p . p", "q . q"})})
    merged = merge([first, second])
    assert merged.maps[SERVICE_IPS] == {"k": "goto a"}
    assert merged.elements[HAIRPIN] == {"p . p", "q . q"}


def test_a_table_of_this_version_is_read_back() -> None:
    listing = [
        {"metainfo": {}},
        {"chain": {"name": version(TableConfig())}},
        {"chain": {"name": "services"}},
        {"chain": {"name": "svc-a"}},
        {"map": {"name": SERVICE_IPS, "elem": [[{"concat": ["10.96.0.1", "tcp", 6]}, {"goto": {"target": "svc-a"}}]]}},
        {"map": {"name": "node-ports", "elem": [[{"concat": [17, 30000]}, {"drop": None}]]}},
        {"set": {"name": HAIRPIN, "elem": [{"concat": ["10.0.0.1", "10.0.0.1"]}]}},
        {"set": {"name": "aff-x"}},
    ]
    assert parse_table(listing, TableConfig()) == Ruleset(
        chains={"svc-a": UNKNOWN_RULES},
        maps={SERVICE_IPS: {"10.96.0.1 . tcp . 6": "goto svc-a"}, "node-ports": {"udp . 30000": "drop"}},
        elements={HAIRPIN: frozenset({"10.0.0.1 . 10.0.0.1"})},
        affinity=frozenset({"aff-x"}),
    )


def test_a_table_of_other_settings_is_not_built_upon() -> None:
    assert parse_table([{"chain": {"name": version(TableConfig(pod_cidr="10.0.0.0/8"))}}], TableConfig()) is None
