"""Warnings of a kind travel as Warning headers with the answer to the write."""

import orjson

_JSON = {"content-type": "application/json"}
_LABELS = "deprecated since v1.14; use"


def _deployment():
    template = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"nodeSelector": {"beta.kubernetes.io/os": "linux"}, "containers": [{"name": "c", "image": "i"}]},
    }
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}


def test_a_create_and_a_change_of_the_spec_warn_and_other_changes_do_not(in_cluster):
    async def scenario(plane):
        path = "/apis/apps/v1/namespaces/default/deployments"
        status, headers, _ = await plane.client.raw("POST", path, orjson.dumps(_deployment()), _JSON)
        assert status == 201 and _LABELS in headers["warning"]

        async def patch(change):
            typed = {"content-type": "application/merge-patch+json"}
            status, headers, _ = await plane.client.raw("PATCH", f"{path}/d", orjson.dumps(change), typed)
            assert status == 200
            return headers

        assert _LABELS in (await patch({"spec": {"replicas": 2}}))["warning"]
        assert "warning" not in await patch({"metadata": {"labels": {"x": "y"}}})

    in_cluster(scenario)


def test_a_job_deleted_without_a_policy_keeps_its_pods(in_cluster):
    async def scenario(plane):
        template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
        path = "/apis/batch/v1/namespaces/default/jobs"
        for name in ("j", "k"):
            body = orjson.dumps({"metadata": {"name": name}, "spec": {"template": template}})
            await plane.client.raw("POST", path, body, _JSON)
        _, headers, _ = await plane.client.raw("DELETE", f"{path}/j", b"", {})
        assert "child pods are preserved by default" in headers["warning"]
        _, headers, _ = await plane.client.raw("DELETE", f"{path}/k?propagationPolicy=Background", b"", {})
        assert "warning" not in headers

    in_cluster(scenario)
