from kajitori.api.field_errors import required
from kajitori.api.remembering import remembering_outcome, remembering_valid


class Check:
    def __init__(self):
        self.looked_at = []

    def __call__(self, document):
        self.looked_at.append(document)
        return [] if document.get("name") else [required("name")]


def remembering(check, entries_max=2, bytes_max=100):
    def look(document):
        return check(document)

    return remembering_valid(entries_max, bytes_max)(look)


def test_what_was_valid_is_not_looked_at_again():
    check = Check()
    errors_of = remembering(check)
    assert [errors_of({"name": "a"}) for _ in range(3)] == [[], [], []]
    assert check.looked_at == [{"name": "a"}]


def test_errors_are_found_each_time():
    errors_of = remembering(Check())
    assert errors_of({"name": ""}) == errors_of({"name": ""}) == [required("name")]


def test_the_oldest_makes_room():
    check = Check()
    errors_of = remembering(check, entries_max=2)
    for name in "abcb":
        errors_of({"name": name})
    assert len(check.looked_at) == 3
    errors_of({"name": "a"})
    assert len(check.looked_at) == 4


def test_a_long_document_is_checked_each_time():
    check = Check()
    errors_of = remembering(check, bytes_max=100)
    for _ in range(2):
        errors_of({"name": "a" * 100})
    assert len(check.looked_at) == 2


def test_the_outcome_of_equal_documents_is_the_same_and_each_ones_own():
    changed = []

    @remembering_outcome(entries_max=2, bytes_max=100)
    def outcome(document):
        changed.append(document["name"])
        document.setdefault("list", []).append(1)

    first, second = outcome({"name": "a"}), outcome({"name": "a"})
    assert first == second == {"name": "a", "list": [1]}
    first["list"].append(2)
    assert outcome({"name": "a"}) == {"name": "a", "list": [1]}
    assert changed == ["a"]
    outcome({"name": "b"})
    outcome({"name": "c"})
    outcome({"name": "a"})
    assert changed == ["a", "b", "c", "a"]
