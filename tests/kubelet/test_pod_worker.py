"""Pods under the node agent, from creation to the end, on a fake runtime and virtual time."""

import asyncio
import itertools

from node_fixture import fake_node, pod_object

from kajitori.api.coordination import LEASE
from kajitori.api.core import CONFIG_MAP, NODE, POD
from kajitori.api.meta import condition_is, condition_of
from kajitori.client.interface import PatchType
from kajitori.kubelet.pod_state import PodEnd
from kajitori.kubelet.runtime import ContainerState


def scenario(story):
    async def main():
        async with fake_node() as node:
            await story(node)

    asyncio.run(main())


def test_a_pod_becomes_ready():
    async def story(node):
        await node.create(pod_object())
        pod = await node.pod()
        assert pod["status"]["phase"] == "Running"
        assert pod["status"]["podIP"] == "10.244.0.1"
        assert pod["status"]["hostIP"] == "192.0.2.1"
        for kind in ("PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready", "PodScheduled"):
            assert condition_is(pod, kind), kind
        assert (await node.reasons())[-3:] == ["Pulled", "Created", "Started"]

    scenario(story)


def test_nothing_is_written_or_called_while_nothing_happens():
    async def story(node):
        await node.create(pod_object())
        await node.advance(60)
        before, calls = (await node.pod())["metadata"]["resourceVersion"], len(node.runtime.calls)
        await node.advance(600)
        assert (await node.pod())["metadata"]["resourceVersion"] == before
        assert len(node.runtime.calls) == calls

    scenario(story)


def test_a_crashing_container_waits_ever_longer():
    async def story(node):
        node.runtime.ends_at_once["main"] = 1
        began_s = node.clock.now()
        await node.create(pod_object())
        status = await node.container()
        assert status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
        assert status["state"]["waiting"]["message"].startswith(
            "back-off 10s restarting failed container=main pod=web_"
        )
        assert status["restartCount"] == 1
        starts = []
        for _ in range(200):
            before = len(node.runtime.done("start_container"))
            await node.advance(1)
            if len(node.runtime.done("start_container")) > before:
                starts.append(round(node.clock.now() - began_s))
        gaps = [later - earlier for earlier, later in itertools.pairwise(starts)]
        assert gaps == [20, 40, 80]
        assert "BackOff" in await node.reasons()

    scenario(story)


def test_at_most_one_dead_container_is_kept_beside_the_newest():
    async def story(node):
        await node.create(pod_object())
        for _ in range(4):
            node.runtime.exit(node.runtime.running("main").id, 1)
            await node.advance(700)
        assert len(node.runtime.found) == 2

    scenario(story)


def test_restart_policy_never_ends_the_pod():
    async def story(node):
        node.runtime.ends_at_once["main"] = 3
        await node.create(pod_object(restartPolicy="Never"))
        pod = await node.pod()
        assert pod["status"]["phase"] == "Failed"
        assert (await node.container())["state"]["terminated"]["exitCode"] == 3
        assert condition_of(pod, "Ready")["reason"] == "PodFailed"
        assert [box.ready for box in node.runtime.boxes.values()] == [False]

    scenario(story)


def test_init_containers_come_first_and_a_failing_one_is_tried_again():
    async def story(node):
        node.runtime.ends_at_once["prepare"] = 1
        inits = [{"name": "prepare", "image": "init:1"}]
        await node.create(pod_object(initContainers=inits))
        pod = await node.pod()
        assert pod["status"]["phase"] == "Pending"
        message = condition_of(pod, "Initialized")["message"]
        assert message == "containers with incomplete status: [prepare]"
        waiting = pod["status"]["containerStatuses"][0]["state"]["waiting"]
        assert waiting["reason"] == "PodInitializing"
        assert node.runtime.running("main") is None
        node.runtime.ends_at_once["prepare"] = 0
        await node.advance(60)
        assert (await node.pod())["status"]["phase"] == "Running"

    scenario(story)


def test_a_sidecar_starts_before_and_stops_after_the_main_container():
    async def story(node):
        inits = [{"name": "proxy", "image": "init:1", "restartPolicy": "Always"}]
        await node.create(pod_object(initContainers=inits))
        assert node.runtime.done("start_container") == [("proxy",), ("main",)]
        node.runtime.exit(node.runtime.running("proxy").id, 1)
        await node.settle()
        assert node.runtime.running("proxy") is not None
        assert node.runtime.running("main") is not None
        await node.client.delete(POD, "web", "default")
        await node.settle()
        assert [name for name, _ in node.runtime.done("stop_container")] == ["main", "proxy"]

    scenario(story)


def test_deletion_stops_removes_and_tells_the_api():
    async def story(node):
        await node.create(pod_object(terminationGracePeriodSeconds=7))
        await node.client.delete(POD, "web", "default")
        await node.settle()
        assert not await node.exists()
        assert node.runtime.done("stop_container") == [("main", 7)]
        assert (node.runtime.boxes, node.runtime.found, node.kubelet.workers) == ({}, {}, {})

    scenario(story)


def test_the_pre_stop_hook_uses_up_the_grace_period():
    async def story(node):
        hook = {"preStop": {"sleep": {"seconds": 4}}}
        containers = [{"name": "main", "image": "app:1", "lifecycle": hook}]
        await node.create(pod_object(containers=containers, terminationGracePeriodSeconds=10))
        await node.client.delete(POD, "web", "default")
        await node.settle()
        assert node.runtime.done("stop_container") == []
        await node.advance(5)
        assert node.runtime.done("stop_container") == [("main", 6)]

    scenario(story)


def test_an_ending_pod_is_not_asked_whether_it_lives():
    async def story(node):
        hook = {"preStop": {"sleep": {"seconds": 20}}}
        probe = {"exec": {"command": ["check"]}, "periodSeconds": 1, "failureThreshold": 1}
        main = {"name": "main", "image": "app:1", "lifecycle": hook, "livenessProbe": probe}
        await node.create(pod_object(containers=[main], terminationGracePeriodSeconds=30))
        await node.client.delete(POD, "web", "default")
        await node.settle()
        node.runtime.exec_codes["check"] = 1
        await node.advance(10)
        assert await node.exists()
        assert "Unhealthy" not in await node.reasons()

    scenario(story)


def test_a_pod_that_a_finalizer_keeps_shows_how_it_ended():
    async def story(node):
        pod = pod_object(terminationGracePeriodSeconds=7)
        pod["metadata"]["finalizers"] = ["example.org/keep"]
        await node.create(pod)
        await node.client.delete(POD, "web", "default")
        await node.settle()
        found = await node.pod()
        assert (found["status"]["phase"], node.runtime.found, node.kubelet.workers) == ("Failed", {}, {})
        assert found["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"]
        assert condition_is(found, "Initialized")

    scenario(story)


def test_volumes_of_configuration_are_read_only():
    async def story(node):
        metadata = {"name": "settings", "namespace": "default"}
        await node.client.create(CONFIG_MAP, {"metadata": metadata, "data": {"a": "1"}})
        mounts = [{"name": name, "mountPath": f"/{name}"} for name in ("config", "work")]
        volumes = [{"name": "config", "configMap": {"name": "settings"}}, {"name": "work", "emptyDir": {}}]
        await node.create(
            pod_object(containers=[{"name": "main", "image": "app:1", "volumeMounts": mounts}], volumes=volumes)
        )
        made = node.runtime.configs[node.runtime.running("main").id].mounts
        assert {m.container_path: m.read_only for m in made if m.container_path in ("/config", "/work")} == {
            "/config": True,
            "/work": False,
        }

    scenario(story)


def test_a_second_deletion_with_less_grace_is_heeded():
    async def story(node):
        node.runtime.ignores_sigterm.add("main")
        await node.create(pod_object(terminationGracePeriodSeconds=100))
        await node.client.delete(POD, "web", "default")
        await node.advance(5)
        await node.client.delete(POD, "web", "default", grace_period_s=2)
        await node.advance(3)
        await node.settle()
        assert not await node.exists()

    scenario(story)


def test_a_deadline_ends_the_pod():
    async def story(node):
        await node.create(pod_object(activeDeadlineSeconds=30))
        await node.advance(31)
        await node.settle()
        status = (await node.pod())["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")

    scenario(story)


def test_a_missing_image_is_pulled_and_backs_off_when_it_cannot_be():
    async def story(node):
        node.runtime.refuse["pull_image"] = "no such host"
        await node.create(pod_object(containers=[{"name": "main", "image": "other:1"}]))
        assert (await node.container())["state"]["waiting"]["reason"] == "ErrImagePull"
        await node.advance(2)
        assert (await node.container())["state"]["waiting"]["reason"] == "ImagePullBackOff"
        del node.runtime.refuse["pull_image"]
        await node.advance(12)
        assert (await node.pod())["status"]["phase"] == "Running"
        assert {"Pulling", "Failed", "BackOff"} <= set(await node.reasons())

    scenario(story)


def test_a_pod_with_a_name_that_is_no_image_says_so():
    async def story(node):
        await node.create(pod_object(containers=[{"name": "main", "image": "UPPER CASE"}]))
        assert (await node.container())["state"]["waiting"]["reason"] == "InvalidImageName"
        await node.client.delete(POD, "web", "default")
        await node.settle()
        assert not await node.exists()

    scenario(story)


def test_a_missing_config_map_holds_the_pod_until_it_appears():
    async def story(node):
        env = [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "a"}}}]
        await node.create(pod_object(containers=[{"name": "main", "image": "app:1", "env": env}]))
        waiting = (await node.container())["state"]["waiting"]
        assert waiting == {"reason": "CreateContainerConfigError", "message": 'configmap "settings" not found'}
        settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "default"}}
        await node.client.create(CONFIG_MAP, {**settings, "data": {"a": "1"}})
        await node.settle()
        assert dict(node.runtime.configs[node.runtime.running("main").id].env)["A"] == "1"

    scenario(story)


def test_readiness_follows_its_probe():
    async def story(node):
        probe = {"exec": {"command": ["check"]}, "periodSeconds": 5, "failureThreshold": 2}
        node.runtime.exec_codes["check"] = 1
        await node.create(pod_object(containers=[{"name": "main", "image": "app:1", "readinessProbe": probe}]))
        assert not condition_is(await node.pod(), "Ready")
        node.runtime.exec_codes["check"] = 0
        await node.advance(5)
        assert condition_is(await node.pod(), "Ready")
        node.runtime.exec_codes["check"] = 1
        await node.advance(5)
        assert condition_is(await node.pod(), "Ready")
        await node.advance(5)
        assert not condition_is(await node.pod(), "Ready")

    scenario(story)


def test_a_failing_liveness_probe_restarts_the_container():
    async def story(node):
        probe = {"exec": {"command": ["check"]}, "periodSeconds": 10, "failureThreshold": 3}
        await node.create(pod_object(containers=[{"name": "main", "image": "app:1", "livenessProbe": probe}]))
        node.runtime.exec_codes["check"] = 1
        await node.advance(20.5)
        assert (await node.container())["restartCount"] == 0
        await node.advance(10)
        await node.settle()
        assert (await node.container())["restartCount"] == 1
        assert {"Unhealthy", "Killing"} <= set(await node.reasons())

    scenario(story)


def test_liveness_waits_for_the_startup_probe():
    async def story(node):
        startup = {"exec": {"command": ["begin"]}, "periodSeconds": 1, "failureThreshold": 100}
        liveness = {"exec": {"command": ["live"]}, "periodSeconds": 1, "failureThreshold": 1}
        node.runtime.exec_codes.update(begin=1, live=1)
        containers = [{"name": "main", "image": "app:1", "startupProbe": startup, "livenessProbe": liveness}]
        await node.create(pod_object(containers=containers))
        await node.advance(20)
        assert (await node.container())["started"] is False
        assert (await node.container())["restartCount"] == 0
        node.runtime.exec_codes.update(begin=0, live=0)
        await node.advance(2)
        assert (await node.container())["started"] is True

    scenario(story)


def test_a_failing_post_start_hook_restarts_the_container():
    async def story(node):
        node.runtime.exec_codes["hook"] = 1
        hook = {"postStart": {"exec": {"command": ["hook"]}}}
        await node.create(pod_object(containers=[{"name": "main", "image": "app:1", "lifecycle": hook}]))
        assert "FailedPostStartHook" in await node.reasons()
        node.runtime.exec_codes["hook"] = 0
        await node.advance(30)
        assert condition_is(await node.pod(), "Ready")

    scenario(story)


def test_a_lost_sandbox_is_made_anew_with_everything_in_it():
    async def story(node):
        await node.create(pod_object())
        await node.runtime.stop_sandbox("box-1")
        await node.settle()
        await node.advance(1)
        assert (await node.pod())["status"]["podIP"] != "10.244.0.1"
        assert node.runtime.running("main").attempt == 1
        assert "SandboxChanged" in await node.reasons()

    scenario(story)


def test_the_next_agent_adopts_what_runs():
    async def story(node):
        probe = {"exec": {"command": ["check"]}, "initialDelaySeconds": 100}
        await node.create(pod_object(containers=[{"name": "main", "image": "app:1", "livenessProbe": probe}]))
        before = await node.pod()
        await node.stop()
        await node.start()
        await node.settle()
        after = await node.pod()
        assert after["status"]["containerStatuses"] == before["status"]["containerStatuses"]
        assert len(node.runtime.done("start_container")) == 1

    scenario(story)


def test_a_pod_that_the_api_forgot_is_ended():
    async def story(node):
        await node.create(pod_object())
        await node.stop()
        await node.client.delete(POD, "web", "default", grace_period_s=0)
        await node.start()
        await node.settle()
        assert (node.runtime.boxes, node.runtime.found) == ({}, {})

    scenario(story)


def test_a_label_that_the_watch_has_not_shown_yet_counts():
    async def story(node):
        seen = node.kubelet._node_as_seen()
        node.kubelet._node_as_seen = lambda: seen
        await node.client.patch(NODE, "node-a", {"metadata": {"labels": {"disk": "ssd"}}})
        await node.create(pod_object(nodeSelector={"disk": "ssd"}))
        await node.create(pod_object("other", nodeSelector={"disk": "tape"}))
        assert (await node.pod())["status"]["phase"] == "Running"
        assert (await node.pod("other"))["status"]["reason"] == "NodeAffinity"

    scenario(story)


def test_nobody_else_on_the_machine_reads_what_pods_are_given():
    async def story(node):
        await node.stop()
        node.config.root_dir.chmod(0o755)
        await node.start()
        assert node.config.root_dir.stat().st_mode & 0o777 == 0o700

    scenario(story)


def test_a_pod_that_does_not_fit_is_refused():
    async def story(node):
        resources = {"requests": {"cpu": "100000"}}
        await node.create(pod_object(containers=[{"name": "main", "image": "app:1", "resources": resources}]))
        status = (await node.pod())["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "OutOfcpu")
        assert status["message"].startswith("Pod was rejected: Node didn't have enough resource: cpu, requested:")
        await node.client.delete(POD, "web", "default")
        await node.settle()
        assert not await node.exists()

    scenario(story)


def test_the_node_registers_and_keeps_its_lease():
    async def story(node):
        found = await node.client.get(NODE, "node-a")
        assert condition_is(found, "Ready")
        assert found["metadata"]["labels"]["kubernetes.io/hostname"] == "node-a"
        first = (await node.client.get(LEASE, "node-a", "kube-node-lease"))["spec"]["renewTime"]
        await node.advance(10)
        assert (await node.client.get(LEASE, "node-a", "kube-node-lease"))["spec"]["renewTime"] > first

    scenario(story)


def test_a_node_that_was_given_up_says_that_it_is_back():
    async def story(node):
        unknown = {"status": {"conditions": [{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}]}}
        await node.client.patch(NODE, "node-a", unknown, patch_type=PatchType.STRATEGIC, subresource="status")
        await node.settle()
        found = await node.client.get(NODE, "node-a")
        assert condition_is(found, "Ready")
        assert condition_of(found, "Ready")["reason"] == "KubeletReady"

    scenario(story)


def test_what_others_write_over_a_status_is_set_right():
    async def story(node):
        await node.create(pod_object())
        unready = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
        await node.client.patch(POD, "web", unready, "default", patch_type=PatchType.STRATEGIC, subresource="status")
        await node.settle()
        assert condition_is(await node.pod(), "Ready")

    scenario(story)


def test_a_container_that_ends_while_it_is_started_is_noticed():
    async def story(node):
        node.runtime.ends_at_once["main"] = 0
        await node.create(pod_object(restartPolicy="OnFailure"))
        assert (await node.pod())["status"]["phase"] == "Succeeded"
        assert all(r.state is ContainerState.EXITED for r in node.runtime.found.values())

    scenario(story)


def test_an_end_is_noticed_however_late_the_runtime_lists_it():
    async def story(node):
        node.runtime.ends_at_once["main"] = 0
        node.runtime.list_lag_s = 5.0
        await node.create(pod_object(restartPolicy="OnFailure"))
        await node.advance(1)
        node.kubelet._all_changed()
        await node.advance(4.5)
        assert (await node.pod())["status"]["phase"] == "Running"
        await node.advance(15)
        assert (await node.pod())["status"]["phase"] == "Succeeded"

    scenario(story)


def sized(cpu, memory="64Mi", **more):
    amounts = {"cpu": cpu, "memory": memory}
    return [{"name": "main", "image": "app:1", "resources": {"requests": amounts, "limits": amounts}, **more}]


async def resize(node, cpu, memory="64Mi"):
    amounts = {"cpu": cpu, "memory": memory}
    containers = [{"name": "main", "resources": {"requests": amounts, "limits": amounts}}]
    await node.client.patch(
        POD,
        "web",
        {"spec": {"containers": containers}},
        "default",
        patch_type=PatchType.STRATEGIC,
        subresource="resize",
    )
    await node.settle()


def test_a_running_container_is_given_more_without_a_restart():
    async def story(node):
        await node.create(pod_object(containers=sized("100m")))
        await resize(node, "200m")
        status = await node.container()
        assert node.runtime.done("update_resources") == [("main", 20_000, 64 * 1024**2)]
        assert status["resources"]["limits"]["cpu"] == status["allocatedResources"]["cpu"] == "200m"
        assert status["restartCount"] == 0

    scenario(story)


def test_a_resize_restarts_where_the_policy_says_so():
    async def story(node):
        policy = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]
        await node.create(pod_object(containers=sized("100m", resizePolicy=policy)))
        await resize(node, "100m", "128Mi")
        status = await node.container()
        assert (status["restartCount"], status["resources"]["limits"]["memory"]) == (1, "128Mi")

    scenario(story)


def test_a_resize_that_cannot_be_given_is_pending():
    async def story(node):
        await node.create(pod_object(containers=sized("100m")))
        await resize(node, "100000")
        condition = condition_of(await node.pod(), "PodResizePending")
        assert condition["reason"] == "Infeasible"
        assert (await node.container())["allocatedResources"]["cpu"] == "100m"
        await resize(node, "100m")
        assert condition_of(await node.pod(), "PodResizePending") is None

    scenario(story)


def test_an_evicted_pod_says_why():
    async def story(node):
        await node.create(pod_object())
        worker = next(iter(node.kubelet.workers.values()))
        worker.stop(PodEnd("Evicted", "The node was low on resource: memory.", 0.0))
        await node.settle()
        pod = await node.pod()
        assert (pod["status"]["phase"], pod["status"]["reason"]) == ("Failed", "Evicted")
        assert condition_of(pod, "DisruptionTarget")["reason"] == "TerminationByKubelet"
        assert node.runtime.done("stop_container") == [("main", 1)]

    scenario(story)


def test_conditions_of_others_are_kept_and_gate_readiness():
    async def story(node):
        await node.create(pod_object(readinessGates=[{"conditionType": "example.com/serving"}]))
        assert condition_of(await node.pod(), "Ready")["reason"] == "ReadinessGatesNotReady"
        serving = {"type": "example.com/serving", "status": "True"}
        patch = {"status": {"conditions": [serving]}}
        await node.client.patch(POD, "web", patch, "default", patch_type=PatchType.STRATEGIC, subresource="status")
        await node.settle()
        pod = await node.pod()
        assert condition_is(pod, "Ready")
        assert condition_is(pod, "example.com/serving")

    scenario(story)
