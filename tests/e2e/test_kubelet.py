"""The node agent on real containerd: what a pod's owner sees."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from one_node import IMAGE, in_own_namespaces, one_node, pod_object

from kajitori.api.core import CONFIG_MAP, POD, SECRET
from kajitori.api.meta import condition_is
from kajitori.kubelet.purge import halt_node, unmount_below

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(not shutil.which("containerd"), reason="needs containerd"),
]


async def output_of(node, pod, *command, container="main"):
    worker = next(w for w in node.kubelet.workers.values() if w.state.pod["metadata"]["name"] == pod)
    result = await node.kubelet.runtime.exec_sync(worker.state.latest(container).id, list(command), 10)
    return (result.stdout + result.stderr).decode()


def first_status(pod):
    return pod["status"]["containerStatuses"][0]


def test_pods_run_and_leave_without_a_trace():
    async def scenario():
        async with one_node() as node:
            for name in ("first", "second", "third"):
                await node.run_pod(name)
                pod = await node.phase(name, "Running")
                assert pod["status"]["podIP"].startswith("10.244.7.")
                assert condition_is(pod, "Ready")
            for name in ("first", "second", "third"):
                await node.client.delete(POD, name, "default")
            for name in ("first", "second", "third"):
                await node.gone(name)
            assert await node.kubelet.runtime.sandboxes() == []
            assert not list(node.config.pods_dir.iterdir())
            assert not list(node.config.pod_logs_dir.iterdir())

    in_own_namespaces(scenario)


def test_a_killed_main_process_is_restarted_and_counted():
    async def scenario():
        async with one_node() as node:
            await node.run_pod("web", "echo started; sleep 1000")
            await node.phase("web", "Running")
            await output_of(node, "web", "/bin/sh", "-c", "kill -9 -1; kill -9 1; true")
            for pid in Path(f"/sys/fs/cgroup/memory{node.config.cgroup}").rglob("cgroup.procs"):
                for word in pid.read_text().split():
                    if Path(f"/proc/{word}/comm").read_text().strip() in ("sh", "sleep"):
                        os.kill(int(word), signal.SIGKILL)

            async def restarted():
                status = first_status(await node.pod("web"))
                return status["restartCount"] == 1 and "running" in status["state"]

            await node.until(restarted)
            status = first_status(await node.pod("web"))
            assert status["lastState"]["terminated"]["exitCode"] == 137

    in_own_namespaces(scenario)


def test_a_pod_that_ends_says_how():
    async def scenario():
        async with one_node() as node:
            await node.run_pod("good", "echo bye > /dev/termination-log", restartPolicy="Never")
            await node.run_pod("bad", "exit 3", restartPolicy="Never")
            good = first_status(await node.phase("good", "Succeeded"))["state"]["terminated"]
            bad = first_status(await node.phase("bad", "Failed"))["state"]["terminated"]
            assert (good["exitCode"], good["reason"], good["message"]) == (0, "Completed", "bye\n")
            assert (bad["exitCode"], bad["reason"]) == (3, "Error")

    in_own_namespaces(scenario)


def test_init_containers_run_in_order_and_share_volumes():
    async def scenario():
        async with one_node() as node:
            mount = [{"name": "work", "mountPath": "/work"}]
            pod = pod_object(
                "app",
                {
                    "name": "main",
                    "image": IMAGE,
                    "command": ["sh", "-c", "cat /work/log; sleep 99"],
                    "volumeMounts": mount,
                },
                initContainers=[
                    {
                        "name": f"step-{number}",
                        "image": IMAGE,
                        "command": ["sh", "-c", f"echo {number} >> /work/log"],
                        "volumeMounts": mount,
                    }
                    for number in (1, 2)
                ],
                volumes=[{"name": "work", "emptyDir": {}}],
            )
            await node.client.create(POD, pod)
            pod = await node.phase("app", "Running")
            assert await output_of(node, "app", "cat", "/work/log") == "1\n2\n"
            assert [s["state"]["terminated"]["reason"] for s in pod["status"]["initContainerStatuses"]] == [
                "Completed",
                "Completed",
            ]

    in_own_namespaces(scenario)


def test_configuration_reaches_environment_and_files_and_changes_arrive():
    async def scenario():
        async with one_node() as node:
            settings = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "settings", "namespace": "default"},
            }
            await node.client.create(CONFIG_MAP, {**settings, "data": {"colour": "red"}})
            secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key", "namespace": "default"}}
            await node.client.create(SECRET, {**secret, "data": {"password": "czNjcjN0"}})
            container = {
                "name": "main",
                "image": IMAGE,
                "command": ["sleep", "1000"],
                "env": [
                    {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "colour"}}},
                    {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "key", "key": "password"}}},
                    {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                    {"name": "TEXT", "value": "$(COLOUR) of $(UNKNOWN)"},
                ],
                "volumeMounts": [
                    {"name": "settings", "mountPath": "/settings"},
                    {"name": "key", "mountPath": "/key"},
                    {"name": "about", "mountPath": "/about"},
                ],
            }
            volumes = [
                {"name": "settings", "configMap": {"name": "settings"}},
                {"name": "key", "secret": {"secretName": "key"}},
                {
                    "name": "about",
                    "downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]},
                },
            ]
            await node.client.create(POD, pod_object("app", container, volumes=volumes))
            pod = await node.phase("app", "Running")
            shown = await output_of(
                node, "app", "sh", "-c", "echo $COLOUR $PASSWORD $IP $TEXT; cat /about/name /key/password"
            )
            ip = pod["status"]["podIP"]
            assert shown == f"red s3cr3t {ip} red of $(UNKNOWN)\napps3cr3t"
            current = await node.client.get(CONFIG_MAP, "settings", "default")
            await node.client.update(CONFIG_MAP, {**current, "data": {"colour": "blue"}})

            async def changed():
                return await output_of(node, "app", "cat", "/settings/colour") == "blue"

            await node.until(changed, 5)
            hosts = await output_of(node, "app", "cat", "/etc/hosts", "/etc/resolv.conf")
            assert f"{ip}\tapp" in hosts
            assert "nameserver 10.96.0.10" in hosts
            assert "default.svc.cluster.local" in hosts

    in_own_namespaces(scenario)


def test_probes_gate_readiness_and_restart_what_does_not_live():
    async def scenario():
        async with one_node() as node:
            container = {
                "name": "main",
                "image": IMAGE,
                "command": ["sh", "-c", "touch /tmp/alive; sleep 1000"],
                "readinessProbe": {"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1},
                "livenessProbe": {
                    "exec": {"command": ["test", "-e", "/tmp/alive"]},
                    "periodSeconds": 1,
                    "failureThreshold": 1,
                },
            }
            await node.client.create(POD, pod_object("app", container))
            assert not condition_is(await node.phase("app", "Running"), "Ready")
            await output_of(node, "app", "touch", "/tmp/ready")

            async def ready():
                return condition_is(await node.pod("app"), "Ready")

            await node.until(ready)
            await output_of(node, "app", "rm", "/tmp/alive")

            async def restarted():
                return first_status(await node.pod("app"))["restartCount"] == 1

            await node.until(restarted)

    in_own_namespaces(scenario)


def test_an_image_that_is_not_there_is_told_and_the_pod_can_still_leave():
    async def scenario():
        async with one_node() as node:
            container = {"name": "main", "image": "nowhere:1", "imagePullPolicy": "Never"}
            await node.client.create(POD, pod_object("app", container))

            async def told():
                statuses = (await node.pod("app")).get("status", {}).get("containerStatuses") or [{}]
                return statuses[0].get("state", {}).get("waiting", {}).get("reason") == "ErrImageNeverPull"

            await node.until(told)
            await node.client.delete(POD, "app", "default")
            await node.gone("app")

    in_own_namespaces(scenario)


def test_containers_survive_agent_and_runtime_and_are_adopted():
    async def scenario():
        async with one_node() as node:
            await node.run_pod("web")
            before = first_status(await node.phase("web", "Running"))
            await node.stop()
            os.kill(node.kubelet._containerd.running.pid, signal.SIGKILL)
            await asyncio.sleep(0.3)
            await node.start()
            await node.ready()
            await node.run_pod("other")
            await node.phase("other", "Running")
            after = first_status(await node.pod("web"))
            assert after["containerID"] == before["containerID"]
            assert after["restartCount"] == 0
            assert after["ready"] is True
            os.kill(node.kubelet._containerd.running.pid, signal.SIGKILL)

            async def back():
                return node.kubelet._containerd.running is not None

            await asyncio.sleep(0.1)
            await node.until(back)
            await node.run_pod("third")
            await node.phase("third", "Running")
            assert first_status(await node.pod("web"))["containerID"] == before["containerID"]

    in_own_namespaces(scenario)


def test_a_pod_deleted_while_no_agent_ran_is_removed_by_the_next():
    async def scenario():
        async with one_node() as node:
            await node.run_pod("web")
            await node.phase("web", "Running")
            await node.stop()
            await node.client.delete(POD, "web", "default", grace_period_s=0)
            await node.start()
            await node.ready()

            async def empty():
                return not await node.kubelet.runtime.sandboxes()

            await node.until(empty)

    in_own_namespaces(scenario)


def test_termination_runs_the_hook_and_keeps_to_the_grace_period():
    async def scenario():
        async with one_node() as node:
            directory = node.config.root_dir / "seen"
            directory.mkdir()
            container = {
                "name": "main",
                "image": IMAGE,
                "command": ["sh", "-c", "trap 'echo term >> /seen/log; exit 0' TERM; while true; do sleep 0.1; done"],
                "lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", "echo hook >> /seen/log"]}}},
                "volumeMounts": [{"name": "seen", "mountPath": "/seen"}],
            }
            volumes = [{"name": "seen", "hostPath": {"path": str(directory)}}]
            await node.client.create(POD, pod_object("polite", container, volumes=volumes))
            stubborn = {
                "name": "main",
                "image": IMAGE,
                "command": ["sh", "-c", "trap '' TERM; while true; do sleep 1; done"],
            }
            await node.client.create(POD, pod_object("stubborn", stubborn, terminationGracePeriodSeconds=2))
            await node.phase("polite", "Running")
            await node.phase("stubborn", "Running")
            await node.client.delete(POD, "polite", "default", grace_period_s=300)
            await node.gone("polite")
            assert (directory / "log").read_text() == "hook\nterm\n"
            began_s = node.clock.monotonic()
            await node.client.delete(POD, "stubborn", "default")
            await node.gone("stubborn")
            assert node.clock.monotonic() - began_s > 1.5

    in_own_namespaces(scenario)


def test_logs_are_read_tailed_followed_and_kept_from_before_a_restart():
    async def scenario():
        async with one_node() as node:
            script = (
                "for i in 1 2 3; do echo line $i; done; until test -e /tmp/more; do sleep 0.05; done; echo four; exit 1"
            )
            await node.run_pod("app", script, restartPolicy="Never")
            await node.phase("app", "Running")
            where = "/containerLogs/default/app/main"

            async def three():
                return (await node.ask(where)) == (200, b"line 1\nline 2\nline 3\n")

            await node.until(three)
            assert (await node.ask(f"{where}?tailLines=1"))[1] == b"line 3\n"
            assert (await node.ask(f"{where}?limitBytes=4"))[1] == b"line"
            assert b"Z line 1\n" in (await node.ask(f"{where}?timestamps=true"))[1]
            assert (await node.ask(f"{where}?previous=true"))[0] == 400
            following = asyncio.create_task(node.ask(f"{where}?follow=true&tailLines=1"))
            await asyncio.sleep(0.2)
            await output_of(node, "app", "touch", "/tmp/more")
            assert await asyncio.wait_for(following, 10) == (200, b"line 3\nfour\n")
            assert (await node.ask(where, "other"))[0] == 403

    in_own_namespaces(scenario)


def websocket_messages(data):
    """Binary frames of a server: channel number and payload."""
    while len(data) >= 2:
        size, start = data[1] & 0x7F, 2
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
        payload, data = data[start : start + size], data[start + size :]
        if payload:
            yield payload[0], payload[1:]


def test_exec_is_handed_through_to_the_runtime():
    async def scenario():
        async with one_node() as node:
            await node.run_pod("app")
            await node.phase("app", "Running")
            reader, writer = await node.connect()
            path = "/exec/default/app/main?command=echo&command=hello&output=1&error=1"
            writer.write(
                f"GET {path} HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                "Sec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n".encode()
            )
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            assert b" 101 " in head.split(b"\r\n")[0]
            frames = b""
            while b"Success" not in frames:
                frames += await asyncio.wait_for(reader.read(65536), 10)
            assert (1, b"hello\n") in list(websocket_messages(frames))
            writer.close()

    in_own_namespaces(scenario)


def test_usage_is_shown_for_node_and_containers():
    async def scenario():
        async with one_node() as node:
            await node.run_pod("app")
            await node.phase("app", "Running")
            status, body = await node.ask("/stats/summary")
            summary = json.loads(body)
            assert status == 200
            assert summary["node"]["memory"]["workingSetBytes"] > 0
            assert [c["name"] for c in summary["pods"][0]["containers"]] == ["main"]
            metrics = (await node.ask("/metrics/resource"))[1].decode()
            assert 'container_memory_working_set_bytes{container="main",namespace="default",pod="app"}' in metrics
            assert [p["metadata"]["name"] for p in json.loads((await node.ask("/pods"))[1])["items"]] == ["app"]

    in_own_namespaces(scenario)


def test_an_image_can_be_a_volume():
    async def scenario():
        async with one_node() as node:
            container = {
                "name": "main",
                "image": IMAGE,
                "command": ["sleep", "1000"],
                "volumeMounts": [
                    {"name": "files", "mountPath": "/files"},
                    {"name": "files", "mountPath": "/only", "subPath": "etc"},
                ],
            }
            volumes = [{"name": "files", "image": {"reference": IMAGE, "pullPolicy": "IfNotPresent"}}]
            await node.client.create(POD, pod_object("app", container, volumes=volumes))
            await node.phase("app", "Running")
            assert "root:x:0" in await output_of(node, "app", "cat", "/files/etc/passwd", "/only/passwd")
            assert "Read-only" in await output_of(node, "app", "touch", "/files/x")
            await node.client.delete(POD, "app", "default")
            await node.gone("app")
            assert not list(node.config.pods_dir.iterdir())

    in_own_namespaces(scenario)


def test_pods_come_back_after_the_machine_was_switched_off():
    async def scenario():
        async with one_node() as node:
            settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "default"}}
            await node.client.create(CONFIG_MAP, {**settings, "data": {"k": "v"}})
            container = {
                "name": "main",
                "image": IMAGE,
                "command": ["sleep", "1000"],
                "volumeMounts": [{"name": "all", "mountPath": "/all"}],
            }
            volumes = [{"name": "all", "projected": {"sources": [{"configMap": {"name": "c"}}]}}]
            await node.client.create(POD, pod_object("web", container, volumes=volumes))
            await node.phase("web", "Running")
            await node.stop()
            await halt_node(node.containerd, node.config.cgroup, node.clock)
            for directory in (node.config.root_dir, node.containerd.state, Path("/run/netns")):
                await unmount_below(directory, node.clock)
            shutil.rmtree(node.containerd.state)
            subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run/netns"], check=True)
            await node.start()
            await node.ready()

            async def back():
                status = first_status(await node.pod("web"))
                return status["restartCount"] == 1 and status["ready"]

            await node.until(back, 30)
            assert await output_of(node, "web", "cat", "/all/k") == "v"

    in_own_namespaces(scenario)
