"""Image definitions and the archives made from them."""

import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from kajitori.app.image.build import build_image
from kajitori.app.image.definition import read_definition
from kajitori.app.image.oci import canonical_name
from kajitori.cli.interface import CommandError


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ("notes:1", "docker.io/library/notes:1"),
        ("notes", "docker.io/library/notes:latest"),
        ("team/notes:2", "docker.io/team/notes:2"),
        ("example.org/notes:2", "example.org/notes:2"),
        ("localhost:5000/notes", "localhost:5000/notes:latest"),
    ],
)
def test_names_are_what_containerd_calls_them(given: str, full: str) -> None:
    assert canonical_name(given) == full


def _write(folder: Path, text: str) -> Path:
    (folder / "app").mkdir(exist_ok=True)
    (folder / "app" / "main.js").write_text("console.log(1)\n")
    path = folder / "image.toml"
    path.write_text(text)
    return path


DEFINITION = """
name = "web:1"
[files]
"app/" = "/srv/app"
[config]
user = "1000:1000"
entrypoint = ["node", "/srv/app/main.js"]
ports = [8080]
env = { A = "1" }
"""


def _blob(archive: tarfile.TarFile, digest: str) -> bytes:
    file = archive.extractfile(f"blobs/sha256/{digest.removeprefix('sha256:')}")
    assert file is not None
    return file.read()


def test_an_archive_holds_the_files_and_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    archive_path = build_image(_write(tmp_path, DEFINITION), None)
    with tarfile.open(archive_path) as archive:
        index = json.loads(archive.extractfile("index.json").read())  # type: ignore[union-attr]
        entry = index["manifests"][0]
        assert entry["annotations"]["io.containerd.image.name"] == "docker.io/library/web:1"
        manifest = json.loads(_blob(archive, entry["digest"]))
        config = json.loads(_blob(archive, manifest["config"]["digest"]))
        layer = _blob(archive, manifest["layers"][0]["digest"])
    assert config["config"]["Entrypoint"] == ["node", "/srv/app/main.js"]
    assert config["config"]["ExposedPorts"] == {"8080/tcp": {}}
    assert config["config"]["Env"] == ["A=1"]
    assert config["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]]
    with tarfile.open(fileobj=io.BytesIO(layer)) as files:
        member = files.getmember("srv/app/main.js")
    assert (member.uid, member.mtime) == (0, 0)


def test_an_unchanged_definition_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    definition = _write(tmp_path, DEFINITION)
    first = build_image(definition, None)
    made = first.stat().st_mtime_ns
    assert build_image(definition, None) == first
    assert first.stat().st_mtime_ns == made
    (tmp_path / "app" / "main.js").write_text("console.log(2)\n")
    assert build_image(definition, None) != first


MMDEBSTRAP = """#!/bin/sh
for argument; do
    case $argument in --customize-hook=*) sh -c "${argument#--customize-hook=}" hook /tree || exit 1 ;; esac
    last=$argument
done
tar -cf "$last" --files-from /dev/null
"""


def test_commands_run_in_the_tree_of_packages_as_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, script in (("mmdebstrap", MMDEBSTRAP), ("chroot", '#!/bin/sh\n[ "$1" = /tree ] && shift && exec "$@"\n')):
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    written = tmp_path / "written"
    line = f"printf '%s' \"it's $((6 * 7))\" > {written}"
    build_image(_write(tmp_path, f'name = "a"\npackages = ["nodejs"]\nrun = [{json.dumps(line)}]'), None)
    assert written.read_text() == "it's 42"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "`name` is missing"),
        ('name = "a"\nimage = 1', "unknown key `image`"),
        ('name = "a"\n[files]\n"none" = "/x"', "none does not exist"),
        ('name = "a"\n[files]\n"app/" = "x"', "must begin with /"),
        ('name = "a"\npackages = "nodejs"', "`packages` is 'nodejs', but has to be a list"),
        ('name = "a"\nconfig = 1', "`config` is 1, but has to be a table"),
        ('name = "a"\n[config]\nentrypoint = "node"', "`entrypoint` of .config. is 'node'"),
        ("name = 1", "`name` is 1, but has to be text"),
        ("name = ", "cannot be read"),
    ],
)
def test_a_wrong_definition_says_what_is_wrong(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(CommandError, match=complaint.replace("`", ".")):
        read_definition(_write(tmp_path, text))


def test_packages_name_their_layer_whatever_their_order(tmp_path: Path) -> None:
    one = read_definition(_write(tmp_path, 'name = "a"\npackages = ["x", "y"]'))
    two = read_definition(_write(tmp_path, 'name = "b"\npackages = ["y", "x"]'))
    assert one.packages_digest == two.packages_digest
    assert one.digest != two.digest
