"""A control plane whose disk fills up; run in a mount namespace of its own: `python disk_full_cluster.py FOLDER PORT`.

Prints "kept" when the API named the disk, went on reading, and after there was room again had everything it
acknowledged.
"""

import subprocess
import sys
from pathlib import Path

from real_cluster import Cluster

TEXT = "x" * 20_000


def main(folder: Path, port: int) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder], check=True)
    cluster = Cluster(folder, port=port)
    up = ("up", "--nodes=0", f"--port={port}", "--detach", "--wait")
    cluster.kajitori(*up)
    try:
        fill_and_recover(cluster, up)
    finally:
        cluster.down("--purge")
    # The folder is the mount itself, so it stays, empty.
    assert list(folder.iterdir()) == []


def fill_and_recover(cluster: Cluster, up: tuple[str, ...]) -> None:
    acknowledged = [name for name in ("a", "b", "c") if not refused(cluster, name)]
    assert acknowledged == ["a", "b", "c"]
    ballast = cluster.data_dir / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    answer = refused(cluster, "d")
    assert "the disk is full" in answer, answer
    assert str(cluster.data_dir) in answer, answer
    assert present(cluster) == acknowledged
    status = cluster.status()
    assert status["api"] == "ok"
    assert status["disk"].startswith("full")
    assert not status["healthy"]
    # Down and up on the full disk: what, why and what to do, and no harm.
    cluster.down()
    again = cluster.kajitori(*up, check=False)
    assert again.returncode == 1
    assert "free some space" in again.stderr, again.stderr
    ballast.unlink()
    cluster.kajitori(*up)
    assert present(cluster) == acknowledged
    assert refused(cluster, "d") == ""
    assert present(cluster) == [*acknowledged, "d"]


def refused(cluster: Cluster, name: str) -> str:
    """Why the object was not made; "" when it was."""
    command = ("kubectl", "create", "configmap", name, f"--from-literal=text={TEXT}")
    return cluster.kajitori(*command, check=False).stderr


def present(cluster: Cluster) -> list[str]:
    items = cluster.get("configmaps", "-n", "default")["items"]
    names = {item["metadata"]["name"]: item["data"] for item in items if len(item["metadata"]["name"]) == 1}
    assert all(data == {"text": TEXT} for data in names.values())
    return sorted(names)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
    sys.stdout.write("kept\n")
