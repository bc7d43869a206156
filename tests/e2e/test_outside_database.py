"""The example's second variant: PostgreSQL runs outside the cluster, and the application does not notice."""

import base64
import json
import os
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from real_cluster import NOTES, Cluster, eventually

pytestmark = pytest.mark.e2e

# In a mount namespace of its own, so that what it mounts ends with it.
ENTER = """
set -e
mount --bind /dev "$1/dev"
mount -t proc proc "$1/proc"
exec chroot --userspec=999:999 "$1" /usr/local/bin/start.sh
"""


def unpack(archive: Path, into: Path) -> None:
    """The image's file system, layer by layer."""
    with tarfile.open(archive) as image:

        def blob(digest: str) -> bytes:
            file = image.extractfile(f"blobs/sha256/{digest.removeprefix('sha256:')}")
            assert file is not None
            return file.read()

        index = json.loads(image.extractfile("index.json").read())  # type: ignore[union-attr]
        for layer in json.loads(blob(index["manifests"][0]["digest"]))["layers"]:
            name = f"blobs/sha256/{layer['digest'].removeprefix('sha256:')}"
            extract = ["tar", "-x", "-C", str(into), "--exclude=./dev/*"]
            subprocess.run(extract, input=image.extractfile(name).read(), check=True)  # type: ignore[union-attr]


@contextmanager
def postgres(cluster: Cluster, root: Path, password: str) -> Iterator[None]:
    """PostgreSQL on every address of this host, from the files of the example's image."""
    unpack(Path(cluster.kajitori("image", "build", str(NOTES / "database/image.toml")).stdout.strip()), root)
    root.chmod(0o755)
    (root / "data").mkdir(mode=0o700)
    os.chown(root / "data", 999, 999)
    environment = {
        "PATH": "/usr/lib/postgresql/15/bin:/usr/local/bin:/usr/bin:/bin",
        "PGDATA": "/data/pgdata",
        "POSTGRES_PASSWORD": password,
    }
    server = subprocess.Popen(
        ["unshare", "--mount", "--pid", "--fork", "sh", "-c", ENTER, "sh", str(root)],
        env=environment | {"PATH": f"{environment['PATH']}:/usr/sbin:/sbin"},
        stdin=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        # The first process of a pid namespace takes all others along.
        for child in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)
        server.wait()


def test_the_application_uses_a_database_outside_the_cluster(notes: Cluster, tmp_path: Path) -> None:
    inside = str(NOTES / "manifests/database.yaml")
    outside = str(NOTES / "external-database/database.yaml")
    secret = notes.get("secret", "notes-database", "-n", "notes")
    password = base64.b64decode(secret["data"]["password"]).decode()
    notes.kubectl("delete", "-f", inside)
    try:
        with postgres(notes, tmp_path, password):
            notes.kubectl("apply", "-f", outside)
            eventually(lambda: notes.fetch("/notes", body="text=from+outside")[0] == 303, "a note written", 60)
            eventually(lambda: len(notes.ready_pods("app=web")) == 3, "three web pods that reach it", 60)
            page = notes.fetch("/")[1]
            assert page.count("<li>") == page.count("from outside") >= 1
            notes.kubectl("delete", "-f", outside)
    finally:
        notes.kubectl("apply", "-f", inside)
    eventually(lambda: notes.ready_pods("app=database"), "the database inside again", 90)
    eventually(lambda: notes.fetch("/notes", body="text=inside+again")[0] == 303, "a note written inside", 60)
