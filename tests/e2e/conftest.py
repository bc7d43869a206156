"""One cluster for the whole suite, and the example application on it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_cluster import NOTES, Cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of one node, removed afterwards; or the running one in the directory KAJITORI_RUNNING, which stays."""
    if os.geteuid() != 0:
        pytest.skip("real containers need root")
    if running := os.environ.get("KAJITORI_RUNNING"):
        yield Cluster.at(Path(running))
        return
    data_dir = tmp_path_factory.mktemp("cluster")
    cluster = Cluster(data_dir)
    cluster.up()
    yield cluster
    if keep := os.environ.get("KAJITORI_KEEP_LOGS"):
        shutil.copytree(data_dir / "logs", keep, dirs_exist_ok=True)
    if data_dir.exists():
        cluster.down("--purge")


@pytest.fixture
def free_host(cluster: Cluster) -> None:
    """No cluster runs. Tests that ask for this come last, as they end the one of all others."""
    if cluster.data_dir.exists():
        cluster.down("--purge")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: "free_host" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def notes(cluster: Cluster) -> Cluster:
    """The example application, applied as its demo applies it."""
    demo = cluster.run(str(NOTES / "demo.sh"))
    assert demo.stdout.splitlines()[-1].startswith("http://notes.localhost")
    return cluster
