"""Create, get, update, patch: one object at a time."""

import asyncio

import orjson
import pytest

from kajitori.api.apps import DEPLOYMENT
from kajitori.api.core import CONFIG_MAP, EVENT, LIMIT_RANGE, NAMESPACE, NODE, PERSISTENT_VOLUME, POD, SERVICE
from kajitori.api.errors import AlreadyExists, BadRequest, Conflict, Invalid, NotFound, StatusError
from kajitori.api.field_errors import invalid
from kajitori.api.registry import BUILTIN
from kajitori.apiserver.extension import Extension
from kajitori.apiserver.rest.judged_again import each_time
from kajitori.apiserver.rest.metadata import validate
from kajitori.client.interface import PatchType
from kajitori.testing.cluster import ControlPlane


def config_map(name="a", **data):
    return {"metadata": {"name": name, "namespace": "default"}, "data": data or {"k": "v"}}


def deployment(name="d", replicas=2):
    labels = {"app": name}
    container = {"name": "c", "image": "i"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": spec}


async def send(plane, method, path, document=None, **headers):
    body = document if isinstance(document, bytes) else orjson.dumps(document) if document is not None else b""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    status, answered, raw = await plane.client.raw(method, path, body, {"content-type": "application/json", **named})
    return status, answered, orjson.loads(raw)


def test_a_created_object_has_what_only_the_server_says(in_cluster):
    async def scenario(plane):
        created = await plane.client.create(CONFIG_MAP, config_map())
        metadata = created["metadata"]
        assert len(metadata["uid"]) == 36 and metadata["uid"][14] == "4"
        assert metadata["creationTimestamp"] == "2027-01-15T08:00:00Z"
        assert metadata["resourceVersion"].isdigit()
        assert created["kind"] == "ConfigMap" and created["apiVersion"] == "v1"
        assert await plane.client.get(CONFIG_MAP, "a", "default") == created

    in_cluster(scenario)


def test_what_a_client_says_of_the_servers_fields_is_not_believed(in_cluster):
    async def scenario(plane):
        wanted = config_map()
        wanted["metadata"] |= {"uid": "mine", "creationTimestamp": "2001-01-01T00:00:00Z", "generation": 7}
        wanted["metadata"]["deletionTimestamp"] = "2001-01-01T00:00:00Z"
        metadata = (await plane.client.create(CONFIG_MAP, wanted))["metadata"]
        assert metadata["uid"] != "mine" and not metadata["creationTimestamp"].startswith("2001")
        assert "deletionTimestamp" not in metadata and "generation" not in metadata

    in_cluster(scenario)


def test_a_taken_name_is_refused(in_cluster):
    async def scenario(plane):
        await plane.client.create(CONFIG_MAP, config_map())
        with pytest.raises(AlreadyExists, match='configmaps "a" already exists'):
            await plane.client.create(CONFIG_MAP, config_map())

    in_cluster(scenario)


def test_names_are_generated(in_cluster):
    async def scenario(plane):
        wanted = {"metadata": {"generateName": "job-"}}
        names = {(await plane.client.create(CONFIG_MAP, wanted, "default"))["metadata"]["name"] for _ in range(20)}
        assert len(names) == 20 and all(len(n) == 9 and n.startswith("job-") for n in names)

    in_cluster(scenario)


def test_a_name_is_needed_and_must_be_a_name(in_cluster):
    async def scenario(plane):
        with pytest.raises(Invalid, match=r"metadata\.name: Required value: name or generateName is required"):
            await plane.client.create(CONFIG_MAP, {"metadata": {}}, "default")
        with pytest.raises(Invalid, match=r'metadata\.name: Invalid value: "A_b": a lowercase RFC 1123 subdomain must'):
            await plane.client.create(CONFIG_MAP, config_map("A_b"))
        with pytest.raises(Invalid, match="must not contain dots"):
            await plane.client.create(NAMESPACE, {"metadata": {"name": "a.b"}})
        for kind, body, first in (
            (SERVICE, {"metadata": {}, "spec": {"clusterIP": "x"}}, "spec.clusterIPs"),
            (EVENT, {"metadata": {}, "involvedObject": {"namespace": "other"}}, "involvedObject"),
        ):
            with pytest.raises(Invalid, match=f'^{kind.kind} "" is invalid: {first}'):
                await plane.client.create(kind, body, "default")

    in_cluster(scenario)


def test_labels_annotations_owners_and_finalizers_are_checked(in_cluster):
    async def scenario(plane):
        wanted = config_map()
        wanted["metadata"] |= {
            "labels": {"a b": "c", "d": "e f"},
            "annotations": {"/x": ""},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "", "uid": "u"}],
            "finalizers": ["plain"],
        }
        with pytest.raises(Invalid) as caught:
            await plane.client.create(CONFIG_MAP, wanted)
        fields = [cause["field"] for cause in caught.value.details["causes"]]
        assert fields == [
            "metadata.labels",
            "metadata.labels",
            "metadata.annotations",
            "metadata.ownerReferences.name",
            "metadata.finalizers[0]",
        ]

    in_cluster(scenario)


def test_the_namespace_of_the_path_and_of_the_object_agree(in_cluster):
    async def scenario(plane):
        with pytest.raises(BadRequest, match="the namespace of the provided object does not match"):
            await plane.client.create(CONFIG_MAP, config_map(), "kube-system")

    in_cluster(scenario)


def test_a_namespace_on_what_has_none_is_dropped(in_cluster):
    async def scenario(plane):
        created = await plane.client.create(NAMESPACE, {"metadata": {"name": "x", "namespace": "y"}})
        assert "namespace" not in created["metadata"]

    in_cluster(scenario)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (
            {"kind": "Pod"},
            'Pod in version "v1" cannot be handled as a ConfigMap: '
            "converting (v1.Pod) to (core.ConfigMap): unknown conversion",
        ),
        (
            {"kind": "Deployment", "apiVersion": "apps/v1", "spec": 5},
            'Deployment in version "v1" cannot be handled as a ConfigMap: '
            "converting (v1.Deployment) to (core.ConfigMap): unknown conversion",
        ),
        (
            {"kind": "Nothing"},
            'Nothing in version "v1" cannot be handled as a ConfigMap: '
            'no kind "Nothing" is registered for version "v1" in scheme "pkg/api/legacyscheme/scheme.go:30"',
        ),
        (
            {"apiVersion": "v2"},
            'ConfigMap in version "v2" cannot be handled as a ConfigMap: '
            'no kind "ConfigMap" is registered for version "v2" in scheme "pkg/api/legacyscheme/scheme.go:30"',
        ),
        (
            {"kind": 5},
            "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse "
            'error: json: cannot unmarshal number into Go struct field .kind of type string ({"kind":5})',
        ),
        (
            [],
            "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse "
            "error: json: cannot unmarshal array into Go value of type "
            r'struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" } '
            "(5b5d)",
        ),
    ],
)
def test_another_kind_or_version_is_refused_in_upstreams_words(in_cluster, body, why):
    async def scenario(plane):
        status, _, answer = await send(plane, "POST", "/api/v1/namespaces/default/configmaps", body)
        assert (status, answer["message"]) == (400, why)

    in_cluster(scenario)


def test_an_empty_body_is_no_object(in_cluster):
    async def scenario(plane):
        answer = await plane.client.raw("POST", "/api/v1/namespaces/default/configmaps", b"\n", {})
        assert answer[0] == 400 and b"unexpected end of JSON input (<empty>)" in answer[2]

    in_cluster(scenario)


class Tolerating:
    """Admission that adds a toleration to every pod."""

    async def mutate(self, request):
        if request.object is not None and request.resource.kind == "Pod":
            request.object["spec"]["tolerations"] = [{"key": "k", "operator": "Exists"}]

    async def validate(self, request):
        pass


def owned(obj):
    return {entry["manager"]: entry["fieldsV1"] for entry in obj["metadata"]["managedFields"]}


def test_what_admission_and_the_server_add_is_nobodys_field():
    async def scenario():
        async with ControlPlane(extension=Extension(admission=[Tolerating()])) as plane:
            pod = {
                "kind": "Pod",
                "apiVersion": "v1",
                "metadata": {"name": "p", "labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
                "status": {"phase": "Running"},
            }
            path = "/api/v1/namespaces/default/pods"
            _, _, created = await send(plane, "POST", f"{path}?fieldManager=me", pod)
            assert created["spec"]["tolerations"] and created["status"]["phase"] == "Pending"
            assert set(owned(created)) == {"me"}
            fields = owned(created)["me"]
            assert set(fields) == {"f:metadata", "f:spec"}
            assert "f:restartPolicy" in fields["f:spec"] and "f:tolerations" not in fields["f:spec"]
            created["metadata"]["labels"]["a"] = "c"
            _, _, updated = await send(plane, "PUT", f"{path}/p?fieldManager=you", created)
            assert owned(updated)["you"] == {"f:metadata": {"f:labels": {"f:a": {}}}}

    asyncio.run(scenario())


@pytest.mark.parametrize(("group", "plural"), [("apiextensions.k8s.io", "customresourcedefinitions"), ("", "pods")])
def test_only_kinds_of_the_core_ask_finalizers_for_a_domain(group, plural):
    resource = next(r for r in BUILTIN if (r.group, r.plural) == (group, plural))
    errors = validate(resource, {"name": "a.b", "namespace": "", "finalizers": ["cleanup.example.com"]})
    assert any("fully qualified" in str(error) for error in errors) is (plural == "pods")


def test_a_resource_version_at_creation_is_refused(in_cluster):
    async def scenario(plane):
        wanted = config_map()
        wanted["metadata"]["resourceVersion"] = "3"
        with pytest.raises(StatusError, match="resourceVersion should not be set on objects to be created"):
            await plane.client.create(CONFIG_MAP, wanted)

    in_cluster(scenario)


@pytest.mark.parametrize("version", ["", "0", "x", "\u00b2", "9" * 5_000])
def test_what_is_no_resource_version_at_creation_counts_as_none(in_cluster, version):
    async def scenario(plane):
        wanted = config_map()
        wanted["metadata"]["resourceVersion"] = version
        created = await plane.client.create(CONFIG_MAP, wanted)
        assert created["metadata"]["resourceVersion"] != version

    in_cluster(scenario)


def test_a_resource_version_at_creation_is_refused_after_everything_else(in_cluster):
    async def scenario(plane):
        wanted = config_map() | {"data": {"not a key": ""}}
        wanted["metadata"]["resourceVersion"] = "3"
        with pytest.raises(Invalid):
            await plane.client.create(CONFIG_MAP, wanted)
        del wanted["data"]
        wanted["metadata"]["resourceVersion"] = "not a number"
        await plane.client.create(CONFIG_MAP, wanted)

    in_cluster(scenario)


def test_unknown_fields_are_dropped_with_a_warning_or_refused(in_cluster):
    async def scenario(plane):
        path = "/api/v1/namespaces/default/configmaps"
        wanted = config_map() | {"datum": 1}
        status, headers, answer = await send(plane, "POST", f"{path}?fieldValidation=Strict", wanted)
        assert status == 400 and 'unknown field "datum"' in answer["message"]
        status, headers, answer = await send(plane, "POST", path, wanted)
        assert status == 201 and "datum" not in answer
        assert headers["warning"] == '299 - "unknown field \\"datum\\""'
        wanted["metadata"]["name"] = "b"
        status, headers, _ = await send(plane, "POST", f"{path}?fieldValidation=Ignore", wanted)
        assert status == 201 and "warning" not in headers

    in_cluster(scenario)


def test_duplicate_fields_are_refused_when_strict(in_cluster):
    async def scenario(plane):
        path = "/api/v1/namespaces/default/configmaps?fieldValidation=Strict"
        body = b'{"metadata":{"name":"a"},"data":{"k":"1","k":"2"}}'
        status, _, answer = await send(plane, "POST", path, body)
        assert status == 400 and 'duplicate field "data.k"' in answer["message"]

    in_cluster(scenario)


def test_malformed_bodies_are_the_clients_fault(in_cluster):
    async def scenario(plane):
        path = "/api/v1/namespaces/default/configmaps"
        for body in (b"{", b"[]", b'"x"', b'{"metadata": []}', b'{"metadata":{"name":3}}'):
            status, _, answer = await send(plane, "POST", path, body)
            assert status == 400 and answer["reason"] == "BadRequest", body
        status, _, answer = await send(plane, "POST", path, b"x", content_type="text/plain")
        assert status == 415 and answer["reason"] == "UnsupportedMediaType"

    in_cluster(scenario)


def test_documents_nested_beyond_reason_are_the_clients_fault(in_cluster):
    async def scenario(plane):
        deep = b'{"metadata":{"name":"a","namespace":"default"},"spec":' + b'{"not":' * 600 + b"{}" + b"}" * 600 + b"}"
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        status, _, answer = await send(plane, "POST", path, deep)
        assert 400 <= status < 500 and answer["kind"] == "Status"

    in_cluster(scenario)


def test_yaml_bodies_are_read_as_kubernetes_reads_them(in_cluster):
    async def scenario(plane):
        body = b"metadata:\n  name: a\ndata:\n  day: 2026-01-01\n  clock: 12:30:45\n"
        path = "/api/v1/namespaces/default/configmaps"
        status, _, answer = await send(plane, "POST", path, body, content_type="application/yaml")
        assert status == 201 and answer["data"] == {"day": "2026-01-01", "clock": "12:30:45"}

    in_cluster(scenario)


def test_dry_run_leaves_nothing(in_cluster):
    async def scenario(plane):
        path = "/api/v1/namespaces/default/configmaps"
        status, _, answer = await send(plane, "POST", f"{path}?dryRun=All", config_map())
        assert status == 201 and "resourceVersion" not in answer["metadata"] and answer["metadata"]["uid"]
        with pytest.raises(NotFound):
            await plane.client.get(CONFIG_MAP, "a", "default")
        status, _, answer = await send(plane, "POST", f"{path}?dryRun=Some", config_map())
        assert status == 422 and answer["details"]["causes"][0]["field"] == "dryRun"

    in_cluster(scenario)


def test_an_update_moves_the_revision_and_keeps_the_servers_fields(in_cluster):
    async def scenario(plane):
        created = await plane.client.create(CONFIG_MAP, config_map())
        changed = {**created, "metadata": {"name": "a", "namespace": "default"}, "data": {"k": "w"}}
        updated = await plane.client.update(CONFIG_MAP, changed)
        assert updated["data"] == {"k": "w"}
        assert updated["metadata"]["uid"] == created["metadata"]["uid"]
        assert int(updated["metadata"]["resourceVersion"]) > int(created["metadata"]["resourceVersion"])

    in_cluster(scenario)


def test_an_update_of_an_old_revision_conflicts(in_cluster):
    async def scenario(plane):
        created = await plane.client.create(CONFIG_MAP, config_map())
        await plane.client.update(CONFIG_MAP, {**created, "data": {"k": "w"}})
        with pytest.raises(Conflict, match="the object has been modified; please apply your changes to the latest"):
            await plane.client.update(CONFIG_MAP, {**created, "data": {"k": "x"}})

    in_cluster(scenario)


def test_an_update_of_another_object_of_that_name_conflicts(in_cluster):
    async def scenario(plane):
        created = await plane.client.create(CONFIG_MAP, config_map())
        other = {**created, "metadata": {"name": "a", "namespace": "default", "uid": "other"}}
        with pytest.raises(Conflict, match="Precondition failed: UID in precondition: other"):
            await plane.client.update(CONFIG_MAP, other)

    in_cluster(scenario)


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (None, ""),
        ("", ""),
        ("0", ""),
        (
            "1",
            'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes',
        ),
        ("x", 'strconv.ParseUint: parsing "x": invalid syntax'),
    ],
)
def test_an_update_without_a_resource_version_or_with_zero_is_unconditional(in_cluster, version, message):
    async def scenario(plane):
        await plane.client.create(
            CONFIG_MAP, {"metadata": {"name": "a", "namespace": "default", "resourceVersion": "0"}}
        )
        wanted = {"metadata": {"name": "a", "resourceVersion": version}, "data": {"k": "v"}}
        _, _, answer = await send(plane, "PUT", "/api/v1/namespaces/default/configmaps/a", wanted)
        assert answer.get("message", "").startswith(message)
        assert message or answer["data"] == {"k": "v"}

    in_cluster(scenario)


def test_some_kinds_are_updated_by_those_alone_who_know_the_version(in_cluster):
    async def scenario(plane):
        path = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
        _, _, made = await send(plane, "POST", path, {"metadata": {"name": "a"}})
        _, _, refused = await send(plane, "PUT", f"{path}/a", {"metadata": {"name": "a"}})
        assert refused["message"] == (
            'leases.coordination.k8s.io "a" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified '
            "for an update"
        )
        status, _, _ = await send(plane, "PUT", f"{path}/a", made)
        assert status == 200

    in_cluster(scenario)


def test_an_update_that_changes_nothing_writes_nothing(in_cluster):
    async def scenario(plane):
        created = await plane.client.create(CONFIG_MAP, config_map())
        assert await plane.client.update(CONFIG_MAP, created) == created

    in_cluster(scenario)


def test_the_name_of_the_path_and_of_the_object_agree(in_cluster):
    async def scenario(plane):
        await plane.client.create(CONFIG_MAP, config_map())
        path = "/api/v1/namespaces/default/configmaps/a"
        status, _, answer = await send(plane, "PUT", path, config_map("b"))
        assert status == 400 and answer["message"].startswith("the name of the object (b) does not match")

    in_cluster(scenario)


def test_a_put_creates_only_the_kinds_that_allow_it(in_cluster):
    async def scenario(plane):
        status, _, _ = await send(plane, "PUT", "/api/v1/namespaces/default/configmaps/a", config_map())
        assert status == 404
        lease = {"metadata": {"name": "l", "namespace": "default"}, "spec": {"holderIdentity": "me"}}
        path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/l"
        status, _, answer = await send(plane, "PUT", path, lease)
        assert status == 201 and answer["spec"]["holderIdentity"] == "me"

    in_cluster(scenario)


def test_generation_counts_changes_of_the_spec_alone(in_cluster):
    async def scenario(plane):
        created = await plane.client.create(DEPLOYMENT, deployment())
        assert created["metadata"]["generation"] == 1

        async def patched(patch, subresource=None):
            answer = await plane.client.patch(DEPLOYMENT, "d", patch, "default", subresource=subresource)
            return answer["metadata"]["generation"]

        assert await patched({"metadata": {"labels": {"a": "b"}}}) == 1
        assert await patched({"status": {"replicas": 1}}, "status") == 1
        assert await patched({"spec": {"replicas": 5}}) == 2
        assert await patched({"metadata": {"annotations": {"a": "b"}}}) == 3, "of deployments, annotations count too"

    in_cluster(scenario)


def test_status_and_spec_have_endpoints_of_their_own(in_cluster):
    async def scenario(plane):
        created = await plane.client.create(DEPLOYMENT, deployment() | {"status": {"replicas": 9}})
        assert created["status"].get("replicas", 0) == 0
        both = {"spec": {"replicas": 7}, "status": {"replicas": 3}}
        answer = await plane.client.patch(DEPLOYMENT, "d", both, "default", subresource="status")
        assert answer["spec"]["replicas"] == 2 and answer["status"]["replicas"] == 3
        answer = await plane.client.patch(DEPLOYMENT, "d", both | {"status": {"replicas": 4}}, "default")
        assert answer["spec"]["replicas"] == 7 and answer["status"]["replicas"] == 3

    in_cluster(scenario)


def test_a_deployments_status_update_may_set_all_of_metadata_but_labels(in_cluster):
    async def scenario(plane):
        await plane.client.create(DEPLOYMENT, deployment())
        patch = {"metadata": {"annotations": {"a": "b"}, "finalizers": ["x/y"], "labels": {"l": "m"}}}
        answer = await plane.client.patch(DEPLOYMENT, "d", patch, "default", subresource="status")
        assert answer["metadata"]["annotations"] == {"a": "b"} and answer["metadata"]["finalizers"] == ["x/y"]
        assert "labels" not in answer["metadata"]

    in_cluster(scenario)


def test_a_node_registers_with_its_status(in_cluster):
    async def scenario(plane):
        node = {"metadata": {"name": "n"}, "status": {"capacity": {"cpu": "4"}}}
        assert (await plane.client.create(NODE, node))["status"]["capacity"] == {"cpu": "4"}

    in_cluster(scenario)


@pytest.mark.parametrize(
    ("patch_type", "patch", "expected"),
    [
        (PatchType.MERGE, {"data": {"k": None, "n": "1"}}, {"n": "1"}),
        (PatchType.STRATEGIC, {"data": {"n": "1"}}, {"k": "v", "n": "1"}),
        (PatchType.JSON, [{"op": "replace", "path": "/data/k", "value": "w"}], {"k": "w"}),
    ],
)
def test_patches(in_cluster, patch_type, patch, expected):
    async def scenario(plane):
        await plane.client.create(CONFIG_MAP, config_map())
        answer = await plane.client.patch(CONFIG_MAP, "a", patch, "default", patch_type=patch_type)
        assert answer["data"] == expected

    in_cluster(scenario)


def test_a_patch_with_an_old_revision_conflicts(in_cluster):
    async def scenario(plane):
        created = await plane.client.create(CONFIG_MAP, config_map())
        version = created["metadata"]["resourceVersion"]
        await plane.client.patch(CONFIG_MAP, "a", {"data": {"k": "w"}}, "default")
        with pytest.raises(Conflict):
            patch = {"metadata": {"resourceVersion": version}, "data": {"k": "x"}}
            await plane.client.patch(CONFIG_MAP, "a", patch, "default")

    in_cluster(scenario)


def test_concurrent_patches_all_take_effect(in_cluster):
    import asyncio

    async def scenario(plane):
        await plane.client.create(CONFIG_MAP, config_map())
        patches = [{"data": {f"k{i}": "v"}} for i in range(20)]
        await asyncio.gather(*(plane.client.patch(CONFIG_MAP, "a", p, "default") for p in patches))
        assert len((await plane.client.get(CONFIG_MAP, "a", "default"))["data"]) == 21

    in_cluster(scenario)


def test_a_patch_of_what_does_not_exist(in_cluster):
    async def scenario(plane):
        with pytest.raises(NotFound, match='configmaps "a" not found'):
            await plane.client.patch(CONFIG_MAP, "a", {}, "default")

    in_cluster(scenario)


def test_an_unknown_patch_type_is_refused(in_cluster):
    async def scenario(plane):
        await plane.client.create(CONFIG_MAP, config_map())
        path = "/api/v1/namespaces/default/configmaps/a"
        status, _, answer = await send(plane, "PATCH", path, {}, content_type="application/json")
        assert status == 415 and answer["message"] == "415: Unsupported Media Type"

    in_cluster(scenario)


def test_a_scale_is_decoded_and_shown_like_any_object(in_cluster):
    async def scenario(plane):
        await plane.client.create(DEPLOYMENT, deployment())
        path = "/apis/apps/v1/namespaces/default/deployments/d/scale"
        table = "application/json;as=Table;v=v1;g=meta.k8s.io"
        _, _, shown = await send(plane, "GET", path, accept=table)
        assert [column["name"] for column in shown["columnDefinitions"]] == ["Name", "Desired", "Available", "Age"]
        assert shown["rows"][0]["cells"][:3] == ["d", 2, 0]
        scale = {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {"name": "d"}, "spec": {"replicas": "2"}}
        status, _, answer = await send(plane, "PUT", path, scale)
        assert status == 400
        assert answer["message"] == (
            'Scale in version "v1" cannot be handled as a Scale: '
            "json: cannot unmarshal string into Go struct field ScaleSpec.spec.replicas of type int32"
        )
        patch = orjson.dumps({"spec": {"replicas": "2"}})
        status, _, answer = await send(plane, "PATCH", path, patch, content_type="application/merge-patch+json")
        assert status == 422 and "ScaleSpec.spec.replicas" in answer["message"]
        del scale["metadata"]
        status, _, answer = await send(plane, "PUT", path, {**scale, "spec": {"replicas": 2}})
        assert (status, answer["message"]) == (
            400,
            "the name of the object (d based on URL) was undeterminable: name must be provided",
        )

    in_cluster(scenario)


def test_who_scales_owns_the_replicas_in_an_entry_without_a_time(in_cluster):
    async def scenario(plane):
        await plane.client.create(DEPLOYMENT, deployment())
        path = "/apis/apps/v1/namespaces/default/deployments/d"
        patch = orjson.dumps({"spec": {"replicas": 5}})
        merge = "application/merge-patch+json"
        await send(plane, "PATCH", f"{path}/scale?fieldManager=hpa", patch, content_type=merge)
        _, _, shown = await send(plane, "GET", path)
        entries = shown["metadata"]["managedFields"]
        assert [(e["manager"], e.get("subresource"), "time" in e) for e in entries] == [
            ("hpa", "scale", False),
            (entries[1]["manager"], None, True),
        ]
        assert entries[0]["fieldsV1"] == {"f:spec": {"f:replicas": {}}}
        assert "f:replicas" not in entries[1]["fieldsV1"]["f:spec"]
        config = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "d"}, "spec": {"replicas": 6}}
        apply_patch = "application/apply-patch+yaml"
        scale = f"{path}/scale?fieldManager=me"
        status, _, answer = await send(plane, "PATCH", scale, orjson.dumps(config), content_type=apply_patch)
        assert (status, answer["message"]) == (
            409,
            'Apply failed with 1 conflict: conflict with "hpa" with subresource "scale" using autoscaling/v1: '
            ".spec.replicas",
        )
        status, _, answer = await send(
            plane, "PATCH", f"{scale}&force=true", orjson.dumps(config), content_type=apply_patch
        )
        assert (status, answer["spec"]) == (200, {"replicas": 6})

    in_cluster(scenario)


def test_scale_reads_and_writes_the_replicas(in_cluster):
    async def scenario(plane):
        await plane.client.create(DEPLOYMENT, deployment())
        scale = await plane.client.get(DEPLOYMENT, "d", "default", subresource="scale")
        assert scale["kind"] == "Scale" and scale["spec"] == {"replicas": 2}
        assert scale["status"] == {"replicas": 0, "selector": "app=d"}
        scale["spec"]["replicas"] = 6
        updated = await plane.client.update(DEPLOYMENT, scale, subresource="scale")
        assert updated["spec"] == {"replicas": 6}
        patch = {"spec": {"replicas": 3}}
        assert (await plane.client.patch(DEPLOYMENT, "d", patch, "default", subresource="scale"))["spec"] == {
            "replicas": 3
        }
        now = await plane.client.get(DEPLOYMENT, "d", "default")
        assert now["spec"]["replicas"] == 3 and now["metadata"]["generation"] == 3
        with pytest.raises(Invalid, match="must be greater than or equal to 0"):
            await plane.client.patch(DEPLOYMENT, "d", {"spec": {"replicas": -1}}, "default", subresource="scale")
        with pytest.raises(Conflict):
            await plane.client.update(DEPLOYMENT, scale, subresource="scale")

    in_cluster(scenario)


def test_who_applies_a_scale_owns_the_replicas(in_cluster):
    async def scenario(plane):
        path = "/apis/apps/v1/namespaces/default/deployments/d"
        form = {"content_type": "application/apply-patch+yaml"}
        wanted = {"apiVersion": "apps/v1", "kind": "Deployment", **deployment()}
        await send(plane, "PATCH", f"{path}?fieldManager=m", wanted, **form)
        scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "d"}, "spec": {"replicas": 5}}
        status, _, refused = await send(plane, "PATCH", f"{path}/scale?fieldManager=s", scale, **form)
        assert status == 409 and refused["message"].endswith('conflict with "m": .spec.replicas')
        status, _, shown = await send(plane, "PATCH", f"{path}/scale?fieldManager=s&force=true", scale, **form)
        assert status == 200 and shown["spec"] == {"replicas": 5}
        entries = (await plane.client.get(DEPLOYMENT, "d", "default"))["metadata"]["managedFields"]
        assert entries[0] == {
            "manager": "s",
            "operation": "Apply",
            "apiVersion": "apps/v1",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {"f:replicas": {}}},
            "subresource": "scale",
        }

    in_cluster(scenario)


@pytest.mark.parametrize(
    ("resource", "labels", "finalizers"),
    [(CONFIG_MAP, 4, 2), (DEPLOYMENT, 3, 1), (EVENT, 2, 0), (LIMIT_RANGE, 3, 1), (PERSISTENT_VOLUME, 4, 2)],
)
def test_each_time_that_an_updates_metadata_is_judged_is_a_cause(resource, labels, finalizers):
    bad = [invalid("metadata.labels", "-", "no"), invalid("metadata.finalizers[0]", "-", "no")]
    assert [e.field for e in each_time(resource, bad, "")] == [bad[0].field] * labels + [bad[1].field] * finalizers


def test_unknown_resources_subresources_and_methods(in_cluster):
    async def scenario(plane):
        await plane.client.create(CONFIG_MAP, config_map())
        status, _, body = await plane.client.raw("GET", "/apis/nothing.example.com/v1/things")
        assert (status, body) == (404, b"404 page not found\n")
        status, _, _ = await send(plane, "GET", "/api/v1/namespaces/default/configmaps/a/status")
        assert status == 404
        status, _, answer = await send(plane, "POST", "/api/v1/namespaces/default/configmaps/a", config_map())
        assert status == 405 and answer["reason"] == "MethodNotAllowed"
        status, _, _ = await send(plane, "POST", "/api/v1/configmaps", config_map())
        assert status == 405

    in_cluster(scenario)


def test_pods_of_a_kubelet_are_found_by_node(in_cluster):
    async def scenario(plane):
        for index in range(4):
            spec = {"containers": [{"name": "c", "image": "i"}], "nodeName": f"n{index % 2}"}
            await plane.client.create(POD, {"metadata": {"name": f"p{index}", "namespace": "default"}, "spec": spec})
        found = await plane.client.list(POD, field_selector="spec.nodeName=n1")
        assert [pod["metadata"]["name"] for pod in found.items] == ["p1", "p3"]

    in_cluster(scenario)


def test_a_strategic_patch_of_a_scale_may_call_it_anything(in_cluster):
    """As Ansible does, which calls it by the kind that is scaled; other patches change the type, which is refused."""

    async def scenario(plane):
        await plane.client.create(DEPLOYMENT, deployment())
        path = "/apis/apps/v1/namespaces/default/deployments/d/scale"
        wrong = {"kind": "Deployment", "spec": {"replicas": 4}}
        strategic = "application/strategic-merge-patch+json"
        status, _, answer = await send(plane, "PATCH", path, wrong, content_type=strategic)
        assert (status, answer["kind"], answer["spec"]) == (200, "Scale", {"replicas": 4})
        status, _, answer = await send(plane, "PATCH", path, wrong, content_type="application/merge-patch+json")
        assert status == 422 and 'no kind "Deployment" is registered for version "autoscaling/v1"' in answer["message"]

    in_cluster(scenario)


def test_a_name_that_is_being_given_up_is_still_taken(in_cluster):
    async def scenario(plane):
        held = {"metadata": {"name": "a", "namespace": "default", "finalizers": ["example.com/x"]}}
        await plane.client.create(CONFIG_MAP, held)
        for dry_run in ("", "?dryRun=All"):
            path = f"/api/v1/namespaces/default/configmaps{dry_run}"
            _, _, body = await plane.client.raw("POST", path, orjson.dumps(held), {"content-type": "application/json"})
            assert orjson.loads(body)["message"] == 'configmaps "a" already exists'
        await plane.client.delete(CONFIG_MAP, "a", "default")
        for dry_run in ("", "?dryRun=All"):
            path = f"/api/v1/namespaces/default/configmaps{dry_run}"
            _, _, body = await plane.client.raw("POST", path, orjson.dumps(held), {"content-type": "application/json"})
            assert orjson.loads(body)["message"] == 'object is being deleted: configmaps "a" already exists'

    in_cluster(scenario)
