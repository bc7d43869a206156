"""`kajitori image build`: packages become one layer (cached, shared between images), files another."""

import os
import shlex
import shutil
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path

import click

from kajitori.app.image.definition import ImageDefinition, read_definition
from kajitori.app.image.oci import Layer, write_archive
from kajitori.cli.interface import CommandError

# What no container reads, and what a build leaves behind.
_LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")


def cache_folder() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "kajitori" / "images"


def build_image(definition_path: Path, output: Path | None) -> Path:
    """Returns the archive's path; an unchanged definition with unchanged files is not built again."""
    definition = read_definition(definition_path)
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    built = cache / f"{definition.digest}.oci.tar"
    if not built.exists():
        began = time.monotonic()
        _build(definition, cache, built)
        click.echo(f"built {definition.name} in {time.monotonic() - began:.0f} s", err=True)
    if output is None:
        return built
    shutil.copyfile(built, output)
    return output


def _build(definition: ImageDefinition, cache: Path, built: Path) -> None:
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        layers = []
        if definition.packages:
            layers.append(Layer.of(_packages_layer(definition, cache)))
        if definition.files:
            layers.append(Layer.of(_files_layer(definition, Path(scratch) / "files.tar")))
        if not layers:
            raise CommandError(f"image {definition.name} is empty: give it `packages` or [files]")
        write_archive(built, definition.name, layers, definition.config())


def _packages_layer(definition: ImageDefinition, cache: Path) -> Path:
    layer = cache / f"packages-{definition.packages_digest}.tar"
    if layer.exists():
        return layer
    if shutil.which("mmdebstrap") is None:
        raise CommandError("mmdebstrap is missing, which builds images: apt-get install mmdebstrap")
    click.echo(f"building {definition.name}: {' '.join(definition.packages)} (about half a minute, once)", err=True)
    staged = layer.with_suffix(f".{os.getpid()}.tar")
    command = [
        "mmdebstrap",
        "--quiet",
        "--variant=essential",
        f"--include={','.join(definition.packages)}",
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in _LEFT_OUT),
        *(f'--customize-hook=chroot "$1" sh -c {shlex.quote(line)}' for line in definition.run),
        definition.suite,
        str(staged),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        staged.unlink(missing_ok=True)
        why = [line for line in result.stderr.splitlines() if line.startswith("E:")] or result.stderr.splitlines()[-1:]
        raise CommandError(f"mmdebstrap could not install {' '.join(definition.packages)}: {'; '.join(why)}")
    staged.rename(layer)
    return layer


def _files_layer(definition: ImageDefinition, path: Path) -> Path:
    """Files owned by root with their own modes, the same bytes for the same files."""

    def normal(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.uid = info.gid = 0
        info.uname = info.gname = "root"
        info.mtime = 0
        return info

    with tarfile.open(path, "w") as layer:
        for source, target in definition.files:
            layer.add(source, target.strip("/"), filter=normal)
    return path
