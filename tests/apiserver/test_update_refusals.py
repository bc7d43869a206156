"""How updates and patches of something else than what is there are refused."""

import orjson
import pytest

MAPS = "/api/v1/namespaces/default/configmaps"
MERGE, APPLY = "application/merge-patch+json", "application/apply-patch+yaml"


async def send(plane, method, path, document, media="application/json"):
    status, _, raw = await plane.client.raw(method, path, orjson.dumps(document), {"content-type": media})
    return status, orjson.loads(raw)


def config_map(**metadata):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", **metadata}, "data": {"k": "v"}}


def test_an_update_of_another_uid_tells_of_the_store(in_cluster):
    async def scenario(plane):
        _, created = await send(plane, "POST", MAPS, config_map())
        status, answer = await send(plane, "PUT", f"{MAPS}/a", config_map(uid="other"))
        assert status == 409
        assert answer["message"] == (
            'Operation cannot be fulfilled on configmaps "a": StorageError: invalid object, Code: 4, Key: '
            "/registry/configmaps/default/a, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in "
            f"precondition: other, UID in object meta: {created['metadata']['uid']}"
        )

    in_cluster(scenario)


def test_a_put_that_would_create_is_held_to_its_uid(in_cluster):
    async def scenario(plane):
        limits = {
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": {"name": "l", "uid": "x"},
            "spec": {"limits": []},
        }
        status, answer = await send(plane, "PUT", "/api/v1/namespaces/default/limitranges/l", limits)
        assert status == 409 and answer["message"].endswith("UID in precondition: x, UID in object meta: ")

    in_cluster(scenario)


def test_services_and_runtime_classes_are_created_by_a_put(in_cluster):
    async def scenario(plane):
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
        assert (await send(plane, "PUT", "/api/v1/namespaces/default/services/s", service))[0] == 201
        runtime = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "r"}, "handler": "h"}
        assert (await send(plane, "PUT", "/apis/node.k8s.io/v1/runtimeclasses/r", runtime))[0] == 201

    in_cluster(scenario)


@pytest.mark.parametrize(
    ("method", "media", "document", "expected"),
    [
        ("PATCH", MERGE, {"metadata": {"uid": "x"}}, (422, 'metadata.uid: Invalid value: "x": field is immutable')),
        ("PATCH", MERGE, {"metadata": {"namespace": "x"}}, (400, "does not match the namespace sent on the request")),
        (
            "PUT",
            "application/json",
            config_map(namespace="x"),
            (400, "does not match the namespace sent on the request"),
        ),
    ],
)
def test_neither_uid_nor_namespace_change(in_cluster, method, media, document, expected):
    async def scenario(plane):
        await send(plane, "POST", MAPS, config_map())
        status, answer = await send(plane, method, f"{MAPS}/a", document, media)
        assert status == expected[0] and answer["message"].endswith(expected[1])

    in_cluster(scenario)


def test_whether_the_object_exists_is_asked_before_what_is_applied_to_its_status(in_cluster):
    async def scenario(plane):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "status": {"conditions": [7]}}
        path = "/api/v1/namespaces/default/pods/a/status?fieldManager=m"
        assert (await send(plane, "PATCH", path, pod, APPLY))[0] == 404

    in_cluster(scenario)


def test_who_has_no_field_left_has_no_entry(in_cluster):
    async def scenario(plane):
        await send(plane, "POST", MAPS, config_map())
        status, answer = await send(plane, "PATCH", f"{MAPS}/a", {"data": None}, MERGE)
        assert status == 200 and "managedFields" not in answer["metadata"]

    in_cluster(scenario)


@pytest.mark.parametrize(
    ("said", "field", "shown"),
    [
        ({"deletionTimestamp": "2026-01-01T00:00:00Z"}, "deletionTimestamp", '"2026-01-01T00:00:00Z"'),
        ({"deletionGracePeriodSeconds": 0}, "deletionGracePeriodSeconds", "0"),
    ],
)
def test_nothing_is_deleted_by_an_update(in_cluster, said, field, shown):
    async def scenario(plane):
        await send(plane, "POST", MAPS, config_map())
        for method, media in (("PUT", "application/json"), ("PATCH", MERGE)):
            status, answer = await send(plane, method, f"{MAPS}/a", config_map(**said), media)
            assert status == 422
            assert answer["message"] == (
                f'ConfigMap "a" is invalid: metadata.{field}: Invalid value: {shown}: field is immutable'
            )

    in_cluster(scenario)


def test_a_deletion_is_not_taken_back_by_an_update(in_cluster):
    async def scenario(plane):
        await send(plane, "POST", MAPS, config_map(finalizers=["e.x/f"]))
        _, deleted = await send(plane, "DELETE", f"{MAPS}/a", {})
        held = config_map(finalizers=["e.x/f"])
        status, kept = await send(plane, "PUT", f"{MAPS}/a", held)
        assert status == 200
        for field in ("deletionTimestamp", "deletionGracePeriodSeconds"):
            assert kept["metadata"][field] == deleted["metadata"][field]
        status, _ = await send(plane, "PUT", f"{MAPS}/a", config_map(deletionGracePeriodSeconds=5))
        assert status == 422

    in_cluster(scenario)


def test_a_manager_that_a_client_writes_is_judged_as_one_that_it_asks_for(in_cluster):
    async def scenario(plane):
        await send(plane, "POST", MAPS, config_map())
        entry = {"operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {}}}
        given = {"metadata": {"managedFields": [{**entry, "manager": "y" * 129}]}}
        status, answer = await send(plane, "PATCH", f"{MAPS}/a", given, MERGE)
        assert status == 422
        assert "metadata.managedFields[0].manager: Too long: may not be more than 128 bytes" in answer["message"]

    in_cluster(scenario)
