"""Volumes on disk: files that change all at once, paths that stay inside, owners and types."""

import asyncio
import base64
import os
from pathlib import Path

import pytest

from kajitori.kit.clock import VirtualClock
from kajitori.kubelet.volumes.atomic_writer import write_payload
from kajitori.kubelet.volumes.content import Contents, Downward, rotation_due_s
from kajitori.kubelet.volumes.host_path import WrongHostPath, settle_host_path
from kajitori.kubelet.volumes.ownership import own_by_group
from kajitori.kubelet.volumes.payload import File, MissingPart, config_map_data, keyed_files
from kajitori.kubelet.volumes.persistent import directory_of, persistent_volume
from kajitori.kubelet.volumes.sources import Token
from kajitori.kubelet.volumes.sub_path import WrongSubPath, resolve_sub_path, sub_path_of

NOW_S = 1_800_000_000.0


def files(**contents):
    return {name.replace("__", "/"): File(text.encode(), 0o640) for name, text in contents.items()}


def test_files_are_reached_through_one_link(tmp_path):
    assert write_payload(tmp_path, files(colour="red", deep__size="big"), None, NOW_S)
    assert (tmp_path / "colour").read_text() == "red"
    assert (tmp_path / "deep" / "size").read_text() == "big"
    assert str((tmp_path / "colour").readlink()) == "..data/colour"
    assert (tmp_path / "colour").stat().st_mode & 0o777 == 0o640


def test_a_change_replaces_the_link_and_the_old_version_goes(tmp_path):
    write_payload(tmp_path, files(colour="red", gone="x"), None, NOW_S)
    old = (tmp_path / "..data").resolve()
    assert write_payload(tmp_path, files(colour="blue"), None, NOW_S + 1)
    assert (tmp_path / "colour").read_text() == "blue"
    assert not old.exists()
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith("..")) == ["colour"]


def test_an_unchanged_payload_writes_nothing(tmp_path):
    write_payload(tmp_path, files(colour="red"), None, NOW_S)
    before = (tmp_path / "..data").resolve()
    assert not write_payload(tmp_path, files(colour="red"), None, NOW_S + 1)
    assert (tmp_path / "..data").resolve() == before


def test_a_config_map_has_text_and_binary_keys():
    obj = {"data": {"a": "text"}, "binaryData": {"b": base64.b64encode(b"\x00\xff").decode()}}
    assert config_map_data(obj) == {"a": b"text", "b": b"\x00\xff"}


def test_items_choose_keys_paths_and_modes():
    source = {"items": [{"key": "a", "path": "x/y", "mode": 0o400}]}
    assert keyed_files(source, {"a": b"1", "b": b"2"}, 0o644, "configmap") == {"x/y": File(b"1", 0o400)}


def test_a_missing_key_is_an_error_unless_optional():
    source = {"items": [{"key": "no", "path": "x"}]}
    with pytest.raises(MissingPart, match="references non-existent configmap key: no"):
        keyed_files(source, {}, 0o644, "configmap")
    assert keyed_files({**source, "optional": True}, {}, 0o644, "configmap") == {}


def test_sub_paths_are_made_and_stay_inside(tmp_path):
    volume = tmp_path / "volume"
    volume.mkdir()
    assert resolve_sub_path(volume, "a/b").is_dir()
    volume.chmod(0o2777)
    resolve_sub_path(volume, "c/d")
    assert {(volume / place).stat().st_mode & 0o7777 for place in ("c", "c/d")} == {0o2777}
    (volume / "out").symlink_to("/etc")
    for wrong in ("../x", "out/passwd"):
        with pytest.raises(WrongSubPath, match="leads outside"):
            resolve_sub_path(volume, wrong)


def test_sub_path_expressions_need_their_variables():
    assert sub_path_of({"subPathExpr": "$(NAME)/x"}, {"NAME": "web"}) == "web/x"
    for expression in ("$(NO)", "$(UP)", "$(ROOT)"):
        with pytest.raises(WrongSubPath):
            sub_path_of({"subPathExpr": expression}, {"UP": "..", "ROOT": "/etc"})


@pytest.mark.parametrize("kind", ["Directory", "File", "Socket", "CharDevice", "BlockDevice"])
def test_host_paths_must_be_what_they_say(tmp_path, kind):
    with pytest.raises(WrongHostPath, match="hostPath type check failed"):
        settle_host_path(tmp_path / "none", kind)


def test_host_paths_are_made_when_asked(tmp_path):
    settle_host_path(tmp_path / "d" / "e", "DirectoryOrCreate")
    settle_host_path(tmp_path / "d" / "f", "FileOrCreate")
    settle_host_path(tmp_path / "anything", "")
    assert (tmp_path / "d" / "e").is_dir()
    assert (tmp_path / "d" / "f").is_file()
    settle_host_path(Path("/dev/null"), "CharDevice")


@pytest.mark.skipif(os.geteuid() != 0, reason="changing owners needs root")
def test_fs_group_owns_everything_and_may_write(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").touch(mode=0o600)
    own_by_group(tmp_path, 4242, on_mismatch_only=False)
    for path in (tmp_path, tmp_path / "d", tmp_path / "d" / "f"):
        assert path.stat().st_gid == 4242
    assert (tmp_path / "d").stat().st_mode & 0o2070 == 0o2070
    assert (tmp_path / "d" / "f").stat().st_mode & 0o777 == 0o660


class Objects:
    def __init__(self, **objects):
        self.objects = objects
        self.tokens = 0

    async def get(self, pod_uid, resource, namespace, name):
        return self.objects.get(name)

    async def token(self, pod, audience, expiration_s):
        self.tokens += 1
        return Token(f"token-{self.tokens}", NOW_S + self.tokens * 1000, NOW_S + (self.tokens - 1) * 1000)


POD = {"metadata": {"name": "web", "namespace": "default", "uid": "u-1"}, "spec": {"containers": [{"name": "main"}]}}
DOWNWARD = Downward(field=lambda path: f"<{path}>", resource=lambda reference: reference["resource"])


def payload(contents, volume):
    return asyncio.run(contents.payload(POD, volume, DOWNWARD))


def test_a_projected_volume_joins_its_sources():
    objects = Objects(root={"data": {"ca.crt": "CA"}}, key={"data": {"p": base64.b64encode(b"s").decode()}})
    volume = {
        "projected": {
            "defaultMode": 0o600,
            "sources": [
                {"serviceAccountToken": {"path": "token"}},
                {"configMap": {"name": "root", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"secret": {"name": "key"}},
                {"downwardAPI": {"items": [{"path": "ns", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
            ],
        }
    }
    found = payload(Contents(objects, VirtualClock(NOW_S)), volume)
    assert {name: file.content for name, file in found.items()} == {
        "token": b"token-1",
        "ca.crt": b"CA",
        "p": b"s",
        "ns": b"<metadata.namespace>",
    }


@pytest.mark.parametrize(
    ("security", "mode", "owner"),
    [
        ({}, 0o644, None),
        ({"runAsUser": 1000}, 0o600, 1000),
        ({"fsGroup": 7}, 0o600, None),
        ({"runAsUser": 1000, "fsGroup": 7}, 0o600, 1000),
    ],
)
def test_a_token_belongs_to_the_user_of_all_containers_and_is_nobody_elses(security, mode, owner):
    pod = {**POD, "spec": {**POD["spec"], "securityContext": security}}
    sources = [{"serviceAccountToken": {"path": "token"}}, {"configMap": {"name": "root"}}]
    contents = Contents(Objects(root={"data": {"ca.crt": "CA"}}), VirtualClock(NOW_S))
    found = asyncio.run(contents.payload(pod, {"projected": {"sources": sources}}, DOWNWARD))
    assert (found["token"].mode, found["token"].owner) == (mode, owner)
    assert (found["ca.crt"].mode, found["ca.crt"].owner) == (0o644, None)


def test_a_token_is_replaced_at_four_fifths_of_its_life():
    clock = VirtualClock(NOW_S)
    contents = Contents(Objects(), clock)
    volume = {"projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
    assert payload(contents, volume)["token"].content == b"token-1"
    assert contents.next_rotation_s("u-1") == NOW_S + 800
    asyncio.run(clock.advance(799))
    assert payload(contents, volume)["token"].content == b"token-1"
    asyncio.run(clock.advance(1))
    assert payload(contents, volume)["token"].content == b"token-2"
    contents.forget("u-1")
    assert contents.next_rotation_s("u-1") is None


def test_a_long_token_is_replaced_after_a_day():
    assert rotation_due_s(Token("t", NOW_S + 10 * 86400, NOW_S)) == NOW_S + 86400


def test_a_claim_leads_to_the_directory_of_its_volume():
    claim = {"metadata": {"uid": "c-1"}, "spec": {"volumeName": "pv"}, "status": {"phase": "Bound"}}
    volume = {"metadata": {"name": "pv"}, "spec": {"hostPath": {"path": "/data/pv"}, "claimRef": {"uid": "c-1"}}}
    source = Objects(data=claim, pv=volume)
    wanted = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    assert directory_of(asyncio.run(persistent_volume(POD, wanted, source))) == (Path("/data/pv"), "")


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        (None, 'persistentvolumeclaim "data" not found'),
        ({"metadata": {"uid": "c"}, "spec": {}, "status": {"phase": "Pending"}}, "PVC default/data is not bound"),
    ],
)
def test_a_claim_that_cannot_be_used_says_why(claim, message):
    with pytest.raises(MissingPart, match=message):
        asyncio.run(persistent_volume(POD, {"persistentVolumeClaim": {"claimName": "data"}}, Objects(data=claim)))
