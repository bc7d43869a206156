"""What may change of a pod, and how a refusal shows what changed."""

from copy import deepcopy

import pytest

from kajitori.api import core
from kajitori.api.schema.internal_shapes import as_shown, difference

TERMS = "requiredDuringSchedulingIgnoredDuringExecution"


def pod(annotations=None, **spec):
    metadata = {"name": "p", "annotations": annotations or {}}
    return {"metadata": metadata, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


def refused(new, old, subresource=""):
    return [str(error) for error in core.POD.validate_update_of(subresource)(new, old)]


def near(expressions):
    return {"nodeAffinity": {TERMS: {"nodeSelectorTerms": [{"matchExpressions": expressions}]}}}


def test_a_refusal_shows_the_lines_that_changed_in_the_internal_form():
    old = pod(terminationGracePeriodSeconds=30)
    (message,) = refused(pod(terminationGracePeriodSeconds=31), old)
    assert message.startswith(
        "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`"
    )
    assert message.endswith(
        ' @@\n  ],\n  "EphemeralContainers": null,\n  "RestartPolicy": "",\n- "TerminationGracePeriodSeconds": 30,\n'
        '+ "TerminationGracePeriodSeconds": 31,\n  "ActiveDeadlineSeconds": null,\n  "DNSPolicy": "",\n'
        '  "NodeSelector": null,\n'
    )


def test_host_fields_are_shown_in_the_security_context():
    shown = as_shown("core.PodSpec", {"hostNetwork": True, "securityContext": {"runAsUser": 1}})
    assert (shown["SecurityContext"]["HostNetwork"], shown["SecurityContext"]["RunAsUser"]) == (True, 1)


def test_embedded_structs_are_shown_in_place_and_tagged_ones_leave_out_what_is_empty():
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {}}
    assert list(as_shown("core.PodTemplateSpec", template)) == ["labels", "Spec"]
    assert as_shown("meta.LabelSelector", {"matchLabels": {"b": "1", "a": "2"}}) == {
        "matchLabels": {"a": "2", "b": "1"}
    }


def test_angle_brackets_are_escaped_in_a_difference():
    assert "\\u003cb\\u003e" in difference("core.HostAlias", {"ip": "a"}, {"ip": "<b>"})


def test_nothing_and_empty_are_the_same():
    assert refused(pod(nodeSelector={}, hostAliases=[]), pod()) == []


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"nodeSelector": {"a": "b", "c": "d"}}, []),
        ({"nodeSelector": {"a": "x"}}, ["spec.nodeSelector: Invalid value: "]),
        ({"nodeSelector": {"a": "b"}, "affinity": near([{"key": "k", "operator": "Exists"}])}, []),
    ],
)
def test_a_gated_pod_may_be_restricted_further(spec, expected):
    gate = [{"name": "a.b/g"}]
    found = refused(pod(schedulingGates=gate, **spec), pod(schedulingGates=gate, nodeSelector={"a": "b"}))
    assert len(found) == len(expected)
    assert all(message.startswith(beginning) for message, beginning in zip(found, expected, strict=True))


def test_terms_of_a_gated_pod_only_grow():
    gate = [{"name": "a.b/g"}]
    one, two = {"key": "k", "operator": "Exists"}, {"key": "l", "operator": "Exists"}
    old = pod(schedulingGates=gate, affinity=near([one]))
    assert refused(pod(schedulingGates=gate, affinity=near([one, two])), old) == []
    (message,) = refused(pod(schedulingGates=gate, affinity=near([two])), old)
    assert message.endswith(
        'nodeSelectorTerms[0]: Invalid value: {"MatchExpressions":[{"Key":"l","Operator":"Exists","Values":null}],'
        '"MatchFields":null}: only additions are allowed (no mutations or deletions)'
    )


def test_the_mirror_annotation_stays():
    assert refused(pod(), pod({"kubernetes.io/config.mirror": "x"})) == [
        "metadata.annotations[kubernetes.io/config.mirror]: Forbidden: may not remove or update mirror pod annotation"
    ]


def test_an_ephemeral_container_that_changed_is_shown():
    old = pod(ephemeralContainers=[{"name": "e", "image": "i"}])
    new = deepcopy(old)
    new["spec"]["ephemeralContainers"][0]["image"] = "j"
    (message,) = refused(new, old, "ephemeralcontainers")
    assert '"e" may not be changed\n@@ -1,6 +1,6 @@\n {\n  "Name": "e",\n- "Image": "i",\n+ "Image": "j",\n' in message


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({"requests": {"cpu": "2", "memory": "1"}}, []),
        (
            {"requests": {"cpu": "1"}},
            ["spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed"],
        ),
        (
            {"requests": {"cpu": "1", "memory": "1", "a.b/c": "1"}},
            ["spec: Forbidden: only cpu and memory resources are mutable"],
        ),
    ],
)
def test_a_resize_changes_amounts_of_cpu_and_memory(resources, expected):
    def sized(amounts):
        return pod(containers=[{"name": "c", "image": "i", "resources": amounts}])

    assert refused(sized(resources), sized({"requests": {"cpu": "1", "memory": "1"}}), "resize") == expected
