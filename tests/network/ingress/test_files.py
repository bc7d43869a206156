import dataclasses
import json
from pathlib import Path

from kajitori.network.ingress.config import EnvoyResources
from kajitori.network.ingress.files import ResourceFiles

TWO = EnvoyResources(
    listeners=[{"name": "http"}],
    routes={"name": "ingress"},
    clusters={"a/web/80": {"name": "a/web/80"}, "a/api/80": {"name": "a/api/80"}},
    endpoints={"a/web/80": {"cluster_name": "a/web/80"}, "a/api/80": {"cluster_name": "a/api/80"}},
    certificates={"cert": {"name": "cert"}},
)
ONE = dataclasses.replace(
    TWO,
    clusters={"a/web/80": {"name": "a/web/80"}},
    endpoints={"a/web/80": {"cluster_name": "a/web/80"}},
    certificates={},
)


def prepared(directory: Path) -> ResourceFiles:
    files = ResourceFiles(directory)
    files.prepare(lambda: (b"chain", b"key"))
    return files


def names(path: Path) -> set[str]:
    return {resource["name"] for resource in json.loads(path.read_text())["resources"]}


def test_a_cluster_outlives_the_routes_to_it(tmp_path: Path) -> None:
    files = prepared(tmp_path)
    assert not files.write(TWO)
    assert files.write(ONE)
    assert names(tmp_path / "clusters.json") == {"a/web/80", "a/api/80"}
    assert (tmp_path / "endpoints/a_api_80.json").exists()
    files.prune(ONE)
    assert names(tmp_path / "clusters.json") == {"a/web/80"}
    assert {path.name for path in (tmp_path / "endpoints").iterdir()} == {"a_web_80.json"}
    assert {path.name for path in (tmp_path / "certificates").iterdir()} == {"fallback.json"}


def test_equal_content_is_not_written_again_even_by_another_process(tmp_path: Path) -> None:
    prepared(tmp_path).write(TWO)
    before = {path: path.stat().st_ino for path in tmp_path.rglob("*.json")}
    prepared(tmp_path).write(TWO)
    assert {path: path.stat().st_ino for path in tmp_path.rglob("*.json")} == before


def test_only_the_owner_may_read_and_no_draft_stays(tmp_path: Path) -> None:
    prepared(tmp_path / "envoy").write(TWO)
    assert (tmp_path / "envoy").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "envoy/certificates/cert.json").stat().st_mode & 0o777 == 0o600
    assert not list(tmp_path.rglob(".*"))


def test_a_changed_resource_has_a_new_version(tmp_path: Path) -> None:
    files = prepared(tmp_path)
    files.write(TWO)
    before = json.loads((tmp_path / "routes.json").read_text())["version_info"]
    files.write(dataclasses.replace(TWO, routes={"name": "ingress", "virtual_hosts": []}))
    assert json.loads((tmp_path / "routes.json").read_text())["version_info"] != before
