"""Volumes that are attached without being objects, and what persistent volumes say beside their source."""

import pytest

from kajitori.api import batch, coordination, core, storage

CSI = {"driver": "d.x", "volumeHandle": "h"}


def attachment(**inline):
    spec = {"attacher": "d.x", "nodeName": "n", "source": {"inlineVolumeSpec": inline}}
    found = storage.VOLUME_ATTACHMENT.validate({"metadata": {"name": "a"}, "spec": spec})
    return [str(error).removeprefix("spec.source.inlineVolumeSpec.") for error in found]


@pytest.mark.parametrize(
    ("inline", "wrong"),
    [
        ({"accessModes": ["ReadWriteOnce"], "csi": CSI}, []),
        ({"accessModes": ["ReadWriteOnce"], "csi": {"driver": "d.x"}}, ["csi.volumeHandle: Required value"]),
        (
            {"capacity": {"storage": "1"}, "csi": CSI},
            [
                "capacity: Forbidden: may not be specified in the context of inline volumes",
                "accessModes: Required value",
            ],
        ),
        (
            {"accessModes": ["ReadWriteOnce"], "volumeMode": "Block", "csi": CSI},
            [
                "volumeMode: Forbidden: may not specify volumeMode other than Filesystem in the context of inline "
                "volumes"
            ],
        ),
    ],
)
def test_an_inline_volume(inline, wrong):
    assert attachment(**inline) == wrong


def volume(**spec):
    whole = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        **spec,
    }
    found = core.PERSISTENT_VOLUME.validate({"metadata": {"name": "v"}, "spec": whole})
    return [str(error) for error in found]


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        ({"csi": CSI, "volumeAttributesClassName": "a"}, []),
        (
            {"csi": CSI, "volumeAttributesClassName": ""},
            ["spec.volumeAttributesClassName: Required value: an empty string is disallowed"],
        ),
        (
            {"nfs": {"server": "s", "path": "/p"}, "volumeAttributesClassName": "a"},
            ["spec.csi: Required value: has to be specified when using volumeAttributesClassName"],
        ),
        (
            {"nfs": {"server": "s"}},
            ["spec.nfs.path: Required value", 'spec.nfs.path: Invalid value: "": must be an absolute path'],
        ),
        (
            {"cinder": {"volumeID": "v", "secretRef": {"name": "s"}}},
            ["spec.cinder.secretRef.namespace: Required value"],
        ),
        ({"gcePersistentDisk": {}}, ["spec.persistentDisk.pdName: Required value"]),
        (
            {"glusterfs": {"endpoints": "e", "path": "p", "endpointsNamespace": ""}},
            [
                'spec.glusterfs.endpointsNamespace: Invalid value: "": if the endpointnamespace is set, it must be a '
                "valid namespace name"
            ],
        ),
    ],
)
def test_a_persistent_volume_and_its_source(spec, wrong):
    assert volume(**spec) == wrong


def test_a_csi_nodes_drivers():
    drivers = [{"name": "x" * 64, "nodeID": "i" * 257, "topologyKeys": ["a"]}]
    found = storage.CSI_NODE.validate({"metadata": {"name": "n"}, "spec": {"drivers": drivers}})
    assert [str(error).partition(": Invalid value: ")[0] for error in found] == [
        "spec.drivers[0].name: Too long: may not be more than 63 bytes",
        "spec.drivers[0].nodeID",
    ]


def test_a_nodes_amounts():
    status = {"capacity": {"cpu": "-1"}, "allocatable": {"pods": "1500m"}}
    found = core.NODE.validate({"metadata": {"name": "n"}, "spec": {}, "status": status})
    assert [str(error) for error in found] == [
        'status.capacity.cpu: Invalid value: "-1": must be greater than or equal to 0',
        'status.allocatable.pods: Invalid value: "1500m": must be an integer',
    ]


def test_what_v1_36_has_switched_off_is_not_kept():
    lease = {"metadata": {}, "spec": {"holderIdentity": "h", "strategy": "s", "preferredHolder": "p"}}
    coordination.LEASE.default(lease)
    assert lease["spec"] == {"holderIdentity": "h"}
    node = {"metadata": {}, "spec": {"configSource": {}}}
    core.NODE.default(node)
    assert node["spec"] == {}
    container = {"name": "c", "image": "i", "lifecycle": {"stopSignal": "SIGUSR1"}}
    pod = {"metadata": {}, "spec": {"containers": [container]}}
    core.POD.default(pod)
    assert pod["spec"]["containers"][0]["lifecycle"] == {}


def test_a_cron_jobs_failure_policy_is_filled_in():
    rules = [{"action": "Count", "onPodConditions": [{"type": "X"}]}]
    cron_job = {"metadata": {}, "spec": {"jobTemplate": {"spec": {"podFailurePolicy": {"rules": rules}}}}}
    batch.CRON_JOB.default(cron_job)
    policy = cron_job["spec"]["jobTemplate"]["spec"]["podFailurePolicy"]
    assert policy["rules"][0]["onPodConditions"] == [{"type": "X", "status": "True"}]
