"""What may change of persistent volumes and claims."""

from kajitori.api import core


def volume(**spec):
    return {
        "metadata": {"name": "v"},
        "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], **spec},
    }


def claim(status=None, **spec):
    resources = {"requests": {"storage": spec.pop("storage", "1Gi")}}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": resources, **spec}
    return {"metadata": {"name": "c"}, "spec": spec, "status": status or {}}


def refused(resource, new, old):
    return [str(error) for error in resource.validate_update(new, old)]


def test_a_source_that_changed_is_shown():
    old, new = (
        volume(nfs={"server": "s", "path": path}, persistentVolumeReclaimPolicy="Retain") for path in ("/p", "/q")
    )
    (message,) = refused(core.PERSISTENT_VOLUME, new, old)
    assert message == (
        "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation\n"
        '@@ -5,7 +5,7 @@\n  "Glusterfs": null,\n  "NFS": {\n   "Server": "s",\n-  "Path": "/p",\n+  "Path": "/q",\n'
        '   "ReadOnly": false\n  },\n  "RBD": null,\n'
    )


def test_a_term_may_take_the_stable_name_of_a_label():
    def near(key, value="a"):
        term = {"matchExpressions": [{"key": key, "operator": "In", "values": [value]}]}
        spec = {"required": {"nodeSelectorTerms": [term]}}
        return volume(nodeAffinity=spec, hostPath={"path": "/x"}, persistentVolumeReclaimPolicy="Retain")

    old = near("failure-domain.beta.kubernetes.io/zone")
    assert refused(core.PERSISTENT_VOLUME, near("topology.kubernetes.io/zone"), old) == []
    (message,) = refused(core.PERSISTENT_VOLUME, near("topology.kubernetes.io/zone", "b"), old)
    assert message.startswith('nodeAffinity: Invalid value: {"Required":{"NodeSelectorTerms":[')
    assert message.endswith("field is immutable, except for updating from beta label to GA")


def test_an_unbound_claim_keeps_its_size_and_is_bound_once():
    (message,) = refused(core.PERSISTENT_VOLUME_CLAIM, claim(storage="2Gi"), claim())
    assert message.startswith("spec: Forbidden: spec is immutable after creation except resources.requests")
    assert '-   "storage": "1Gi"\n+   "storage": "2Gi"\n' in message
    assert refused(core.PERSISTENT_VOLUME_CLAIM, claim(volumeName="v"), claim()) == []


def test_a_bound_claim_grows_but_does_not_shrink_below_what_it_has():
    bound = {"phase": "Bound", "capacity": {"storage": "1Gi"}}
    assert refused(core.PERSISTENT_VOLUME_CLAIM, claim(bound, storage="2Gi"), claim(bound)) == []
    assert refused(core.PERSISTENT_VOLUME_CLAIM, claim(bound, storage="1Mi"), claim(bound)) == [
        "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"
    ]
