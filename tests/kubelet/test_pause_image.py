"""The hand-written pause program is valid and behaves; the archive around it is a proper OCI layout."""

import io
import json
import os
import platform
import select
import signal
import struct
import subprocess
import tarfile
from pathlib import Path

import pytest

from kajitori.kubelet.elf import pause_program
from kajitori.kubelet.pause_image import PAUSE_IMAGE, pause_archive


@pytest.fixture
def pause(tmp_path):
    if platform.machine() != "x86_64":
        pytest.skip("runs the x86_64 program")
    path = tmp_path / "pause"
    path.write_bytes(pause_program("amd64"))
    path.chmod(0o755)
    process = subprocess.Popen([str(path)])
    yield process
    process.kill()
    process.wait()


def wait_until_it_waits(pid):
    """SIGCHLD is ignored after the other two are blocked; while waiting, /proc shows nothing as blocked."""
    status = Path(f"/proc/{pid}/status")
    while not int(status.read_text().split("SigIgn:")[1].split()[0], 16) & 1 << (signal.SIGCHLD - 1):
        os.sched_yield()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_exits_cleanly_when_told_to_stop(pause, number):
    wait_until_it_waits(pause.pid)
    pause.send_signal(number)
    assert pause.wait(5) == 0


def test_stays_until_told(pause):
    wait_until_it_waits(pause.pid)
    descriptor = os.pidfd_open(pause.pid)
    try:
        assert select.select([descriptor], [], [], 0.05)[0] == []
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(("architecture", "machine"), [("amd64", 62), ("arm64", 183)])
def test_header_names_the_machine_and_maps_the_whole_file(architecture, machine):
    program = pause_program(architecture)
    assert struct.unpack_from("<H", program, 18) == (machine,)
    entry = struct.unpack_from("<Q", program, 24)[0]
    address, file_size = struct.unpack_from("<Q", program, 80)[0], struct.unpack_from("<Q", program, 96)[0]
    assert file_size == len(program) < 400
    assert address < entry < address + file_size


def test_arm_data_follows_the_code():
    program = pause_program("arm64")
    code = program[120:]
    assert code[72:80] == struct.pack("<Q", 0x4002)
    assert code[68:72] == struct.pack("<I", 0xD4000001)


def test_archive_names_the_image_and_every_blob_is_there():
    with tarfile.open(fileobj=io.BytesIO(pause_archive("amd64"))) as archive:
        names = archive.getnames()
        index = json.load(archive.extractfile("index.json"))
        manifest = json.load(archive.extractfile("blobs/sha256/" + index["manifests"][0]["digest"].split(":")[1]))
    assert index["manifests"][0]["annotations"]["io.containerd.image.name"] == PAUSE_IMAGE
    for blob in (manifest["config"], *manifest["layers"]):
        assert "blobs/sha256/" + blob["digest"].split(":")[1] in names


def test_archive_is_the_same_every_time():
    assert pause_archive("arm64") == pause_archive("arm64")
