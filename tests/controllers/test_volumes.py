from typing import Any

import pytest

from kajitori.api import local_path
from kajitori.api.core import NODE, PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, POD
from kajitori.api.storage import STORAGE_CLASS, VOLUME_ATTRIBUTES_CLASS
from kajitori.controllers.volumes.claims import ClaimBinder
from kajitori.controllers.volumes.local_path import LocalPathProvisioner, unsupported
from kajitori.controllers.volumes.matching import find
from kajitori.controllers.volumes.protection import AttributesProtection, ClaimProtection, VolumeProtection
from kajitori.controllers.volumes.volumes import VolumeController

LOOPS = [ClaimBinder, VolumeController, ClaimProtection, VolumeProtection, LocalPathProvisioner, AttributesProtection]


def make_claim(size: str = "1Gi", name: str = "data", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": size}},
            "storageClassName": "",
            **spec,
        },
    }


def make_volume(name: str, size: str = "1Gi", phase: str = "Available", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"disk": name}},
        "spec": {
            "accessModes": ["ReadWriteOnce", "ReadOnlyMany"],
            "capacity": {"storage": size},
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": "/x"},
            **spec,
        },
        "status": {"phase": phase},
    }


def on_node(name: str) -> dict[str, Any]:
    match = {"key": "kubernetes.io/hostname", "operator": "In", "values": [name]}
    return {"required": {"nodeSelectorTerms": [{"matchExpressions": [match]}]}}


NODE_A = {"metadata": {"name": "a", "labels": {"kubernetes.io/hostname": "a"}}, "spec": {}}


@pytest.mark.parametrize(
    ("claim", "volumes", "expected"),
    [
        (
            make_claim("2Gi"),
            [make_volume("big", "10Gi"), make_volume("fits", "2Gi"), make_volume("small", "1Gi")],
            "fits",
        ),
        (make_claim("2Gi"), [make_volume("small", "1Gi")], None),
        (
            make_claim(storageClassName="fast"),
            [make_volume("slow"), make_volume("fast", storageClassName="fast")],
            "fast",
        ),
        (
            make_claim(volumeAttributesClassName="gold"),
            [make_volume("plain"), make_volume("gold", "9Gi", volumeAttributesClassName="gold")],
            "gold",
        ),
        (make_claim(), [make_volume("gold", volumeAttributesClassName="gold")], None),
        (make_claim(accessModes=["ReadWriteMany"]), [make_volume("v")], None),
        (make_claim(volumeMode="Block"), [make_volume("v")], None),
        (make_claim(selector={"matchLabels": {"disk": "b"}}), [make_volume("a"), make_volume("b")], "b"),
        (make_claim(), [make_volume("v", phase="Released")], None),
        (make_claim(), [make_volume("v", claimRef={"name": "other", "namespace": "default"})], None),
        (
            make_claim(),
            [make_volume("a"), make_volume("mine", "9Gi", claimRef={"name": "data", "namespace": "default"})],
            "mine",
        ),
        (
            make_claim(),
            [make_volume("elsewhere", nodeAffinity=on_node("b")), make_volume("here", nodeAffinity=on_node("a"))],
            "here",
        ),
    ],
)
def test_the_smallest_volume_that_suits_is_found(
    claim: dict[str, Any], volumes: list[dict[str, Any]], expected: str | None
) -> None:
    found = find(claim, volumes, NODE_A)
    assert (found["metadata"]["name"] if found else None) == expected


def test_a_claim_and_a_volume_are_bound_to_each_other(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(PERSISTENT_VOLUME_CLAIM, make_claim())
        await loops.settle()
        assert loops.api.one(PERSISTENT_VOLUME_CLAIM, "data")["status"]["phase"] == "Pending"
        loops.api.put(PERSISTENT_VOLUME, make_volume("v", "5Gi", phase=""))
        await loops.settle()
        claim, volume = loops.api.one(PERSISTENT_VOLUME_CLAIM, "data"), loops.api.one(PERSISTENT_VOLUME, "v")
        assert claim["spec"]["volumeName"] == "v"
        assert claim["status"] == {
            "phase": "Bound",
            "accessModes": ["ReadWriteOnce", "ReadOnlyMany"],
            "capacity": {"storage": "5Gi"},
        }
        assert claim["metadata"]["annotations"]["pv.kubernetes.io/bind-completed"] == "yes"
        assert volume["spec"]["claimRef"]["uid"] == claim["metadata"]["uid"]
        assert volume["status"]["phase"] == "Bound"
        calls = len(loops.api.calls)
        await loops.settle(3600)
        assert len(loops.api.calls) == calls
        await loops.api.delete(PERSISTENT_VOLUME_CLAIM, "data", "default")
        await loops.settle()
        assert loops.api.all(PERSISTENT_VOLUME_CLAIM) == []
        assert loops.api.one(PERSISTENT_VOLUME, "v")["status"]["phase"] == "Released"

    loops.run(LOOPS, scenario)


def test_the_class_of_attributes_is_told_when_a_claim_is_bound_and_not_after(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(PERSISTENT_VOLUME_CLAIM, make_claim(volumeAttributesClassName="gold"))
        loops.api.put(PERSISTENT_VOLUME, make_volume("v", phase="", volumeAttributesClassName="gold"))
        await loops.settle()
        claim, volume = loops.api.one(PERSISTENT_VOLUME_CLAIM, "data"), loops.api.one(PERSISTENT_VOLUME, "v")
        assert claim["status"]["phase"] == "Bound"
        assert claim["status"]["currentVolumeAttributesClassName"] == "gold"
        loops.api.put(PERSISTENT_VOLUME, {**volume, "spec": {**volume["spec"], "volumeAttributesClassName": "silver"}})
        await loops.settle()
        claim = loops.api.one(PERSISTENT_VOLUME_CLAIM, "data")
        assert claim["status"]["currentVolumeAttributesClassName"] == "gold"

    loops.run(LOOPS, scenario)


def test_a_lost_volume_is_told(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(PERSISTENT_VOLUME, make_volume("v"))
        loops.api.put(PERSISTENT_VOLUME_CLAIM, make_claim())
        await loops.settle()
        loops.api.remove(PERSISTENT_VOLUME, "v")
        await loops.settle()
        assert loops.api.one(PERSISTENT_VOLUME_CLAIM, "data")["status"]["phase"] == "Lost"

    loops.run(LOOPS, scenario)
    assert any(e.startswith("ClaimLost") for e in loops.api.events())


def test_a_claim_that_names_a_volume_that_does_not_suit_waits(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(PERSISTENT_VOLUME, make_volume("v", "1Gi"))
        loops.api.put(PERSISTENT_VOLUME_CLAIM, make_claim("2Gi", volumeName="v"))
        await loops.settle()
        assert loops.api.one(PERSISTENT_VOLUME_CLAIM, "data")["status"]["phase"] == "Pending"

    loops.run(LOOPS, scenario)
    assert 'VolumeMismatch: Cannot bind to requested volume "v": requested PV is too small' in loops.api.events()


def test_a_claim_in_use_and_a_bound_volume_outlast_their_deletion(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(PERSISTENT_VOLUME, make_volume("v"))
        loops.api.put(PERSISTENT_VOLUME_CLAIM, make_claim())
        volumes = [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]
        loops.api.put(
            POD, {"metadata": {"name": "p", "namespace": "default"}, "spec": {"nodeName": "a", "volumes": volumes}}
        )
        await loops.settle()
        await loops.api.delete(PERSISTENT_VOLUME_CLAIM, "data", "default")
        await loops.api.delete(PERSISTENT_VOLUME, "v")
        await loops.settle()
        assert len(loops.api.all(PERSISTENT_VOLUME_CLAIM)) == len(loops.api.all(PERSISTENT_VOLUME)) == 1
        loops.api.remove(POD, "p")
        await loops.settle()
        assert loops.api.all(PERSISTENT_VOLUME_CLAIM) == loops.api.all(PERSISTENT_VOLUME) == []

    loops.run(LOOPS, scenario)


def test_a_class_of_attributes_outlasts_its_deletion_until_no_claim_and_no_volume_names_it(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(VOLUME_ATTRIBUTES_CLASS, {"metadata": {"name": "fast"}, "driverName": "d.example.com"})
        loops.api.put(PERSISTENT_VOLUME, make_volume("v", volumeAttributesClassName="fast"))
        changing = make_claim(storageClassName="other")
        changing["status"] = {"currentVolumeAttributesClassName": "fast"}
        loops.api.put(PERSISTENT_VOLUME_CLAIM, changing)
        await loops.settle()
        await loops.api.delete(VOLUME_ATTRIBUTES_CLASS, "fast")
        await loops.settle()
        kept = loops.api.one(VOLUME_ATTRIBUTES_CLASS, "fast", "")
        assert kept["metadata"]["finalizers"] == ["kubernetes.io/vac-protection"]
        loops.api.remove(PERSISTENT_VOLUME_CLAIM, "data")
        await loops.settle()
        assert loops.api.all(VOLUME_ATTRIBUTES_CLASS)
        loops.api.remove(PERSISTENT_VOLUME, "v", "")
        await loops.settle()
        assert loops.api.all(VOLUME_ATTRIBUTES_CLASS) == []

    loops.run(LOOPS, scenario)


def local_class(**fields: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "local-path"},
        "provisioner": local_path.PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
        **fields,
    }


def choose_node(claim: dict[str, Any]) -> None:
    claim["metadata"].setdefault("annotations", {})[local_path.SELECTED_NODE_ANNOTATION] = "a"


def test_a_directory_is_made_where_the_pod_runs_and_removed_with_its_claim(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(NODE, NODE_A)
        loops.api.put(STORAGE_CLASS, local_class())
        loops.api.put(PERSISTENT_VOLUME_CLAIM, make_claim(storageClassName="local-path"))
        await loops.settle()
        assert loops.api.all(PERSISTENT_VOLUME) == []
        loops.api.edit(PERSISTENT_VOLUME_CLAIM, "data", choose_node)
        await loops.settle()
        claim = loops.api.one(PERSISTENT_VOLUME_CLAIM, "data")
        (volume,) = loops.api.all(PERSISTENT_VOLUME)
        name = f"pvc-{claim['metadata']['uid']}"
        assert claim["status"]["phase"] == volume["status"]["phase"] == "Bound"
        assert volume["spec"]["hostPath"] == {"path": f"/var/lib/kajitori/volumes/{name}", "type": "DirectoryOrCreate"}
        assert volume["spec"]["nodeAffinity"] == on_node("a")
        await loops.api.delete(PERSISTENT_VOLUME_CLAIM, "data", "default")
        await loops.settle()
        (volume,) = loops.api.all(PERSISTENT_VOLUME)
        assert local_path.awaits_cleanup(volume, "a") and local_path.removes_data(volume)
        loops.api.edit(PERSISTENT_VOLUME, name, lambda v: v["metadata"].pop("finalizers"))
        assert loops.api.all(PERSISTENT_VOLUME) == []

    loops.run(LOOPS, scenario)
    events = loops.api.events()
    assert "WaitForFirstConsumer: waiting for first consumer to be created before binding" in events
    assert any(e.startswith("ProvisioningSucceeded: Successfully provisioned volume pvc-") for e in events)


def test_a_volume_of_a_node_that_left_is_let_go(loops: Any) -> None:
    async def scenario() -> None:
        loops.api.put(NODE, NODE_A)
        loops.api.put(STORAGE_CLASS, local_class(volumeBindingMode="Immediate"))
        loops.api.put(PERSISTENT_VOLUME_CLAIM, make_claim(storageClassName="local-path"))
        await loops.settle()
        await loops.api.delete(PERSISTENT_VOLUME_CLAIM, "data", "default")
        await loops.settle()
        assert len(loops.api.all(PERSISTENT_VOLUME)) == 1
        loops.api.remove(NODE, "a")
        await loops.settle()
        assert loops.api.all(PERSISTENT_VOLUME) == []

    loops.run(LOOPS, scenario)


def test_what_a_directory_cannot_be_is_said() -> None:
    assert "block device" in unsupported(make_claim(volumeMode="Block"))
    assert "ReadWriteMany cannot be had" in unsupported(make_claim(accessModes=["ReadWriteMany"]))
    assert unsupported(make_claim()) == ""
