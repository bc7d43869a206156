"""What a pod's owner asks of containers: order, probes, hooks, ends, restarts, environment, files, limits."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from own_namespace import Space, container, http_server, namespace, obj, pod, state_of
from real_cluster import Cluster, eventually

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def space(notes: Cluster) -> Iterator[Space]:
    with namespace(notes, "pods") as space:
        yield space


def mount(name: str, path: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "mountPath": path, **fields}


class TestLife:
    def test_init_containers_in_order_with_a_sidecar_beside_them(self, space: Space) -> None:
        log = [mount("log", "/log")]
        first = container("echo one >> /log/steps", "first", volumeMounts=log)
        sidecar = container(
            "echo sidecar >> /log/steps; exec sleep 1000", "side", restartPolicy="Always", volumeMounts=log,
            startupProbe={"exec": {"command": ["grep", "sidecar", "/log/steps"]}, "periodSeconds": 1},
        )  # fmt: skip
        last = container("echo last >> /log/steps", "last", volumeMounts=log)
        main = container("cat /log/steps", volumeMounts=log)
        volumes = [{"name": "log", "emptyDir": {}}]
        space.apply(
            pod("order", main, initContainers=[first, sidecar, last], volumes=volumes, restartPolicy="Never"),
            pod("stuck", initContainers=[container("exit 4", "no")], restartPolicy="Never"),
        )
        done = space.ended("order")
        assert space.kubectl("logs", "order", "-c", "main").split() == ["one", "sidecar", "last"]
        assert "terminated" in state_of(done, "side", "initContainerStatuses")["state"]
        failed = space.ended("stuck", "Failed")
        assert state_of(failed, "no", "initContainerStatuses")["state"]["terminated"]["exitCode"] == 4
        assert "waiting" in state_of(failed)["state"]
        row = next(row for row in space.kubectl("get", "pods").splitlines() if row.startswith("stuck"))
        assert row.split()[1:3] == ["0/1", "Init:Error"]

    def test_probes_gate_readiness_and_restart(self, space: Space) -> None:
        def looks_for(path: str, **fields: int) -> dict[str, Any]:
            return {"exec": {"command": ["cat", path]}, "periodSeconds": 1, "failureThreshold": 1, **fields}

        probed = container(
            http_server(),
            startupProbe=looks_for("/tmp/started", failureThreshold=60),
            readinessProbe={"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1, "failureThreshold": 1},
            livenessProbe=looks_for("/tmp/started", failureThreshold=2),
        )
        guarded = container(readinessProbe=looks_for("/tmp/ready"))
        labels = {"app": "guarded"}
        service = {"selector": labels, "ports": [{"port": 80}]}
        space.apply(
            pod("probed", probed), pod("guarded", guarded, labels=labels), obj("Service", "guarded", spec=service)
        )
        space.until("pod", "guarded", "status.phase", "Running")

        def backends() -> list[bool]:
            slices = space.all("endpointslices", "kubernetes.io/service-name=guarded")
            return [e["conditions"]["ready"] for s in slices for e in s.get("endpoints") or ()]

        eventually(lambda: backends() == [False], "an endpoint that is not ready", 10)
        assert "notReadyAddresses" in space.get("endpoints", "guarded")["subsets"][0]
        space.sh("guarded", "touch /tmp/ready")
        space.ready("guarded")
        eventually(lambda: backends() == [True], "a ready endpoint", 10)
        space.sh("guarded", "rm /tmp/ready")
        eventually(lambda: backends() == [False], "the endpoint not ready again", 10)
        assert "Readiness probe failed" in space.events("pod/guarded")

        started = state_of(space.until("pod", "probed", "status.phase", "Running"))
        assert started["started"] is False
        assert not started["ready"]
        space.sh("probed", "touch /tmp/started")
        space.ready("probed")
        space.sh("probed", "rm /tmp/started")
        eventually(lambda: state_of(space.get("pod", "probed"))["restartCount"] == 1, "a restart by the probe", 20)
        assert "Liveness probe failed" in space.events("pod/probed")
        assert "Killing" in space.events("pod/probed")
        space.delete("pod/probed", "pod/guarded", "--wait=false")

    def test_hooks_and_a_graceful_end(self, space: Space, tmp_path: Path) -> None:
        files = [mount("out", "/out")]
        polite = container(
            "trap 'echo TERM >> /out/log; exit 5' TERM; echo started; while :; do sleep 0.1; done",
            volumeMounts=files,
            lifecycle={
                "postStart": {"exec": {"command": ["sh", "-c", "echo post >> /out/log"]}},
                "preStop": {"exec": {"command": ["sh", "-c", "echo pre >> /out/log"]}},
            },
            livenessProbe={"exec": {"command": ["sh", "-c", "! grep pre /out/log"]}, "periodSeconds": 1},
        )
        deaf = container("trap '' TERM; while :; do sleep 0.1; done", "deaf", volumeMounts=files)
        watched = ["watched.example/finalizer"]
        graceful = pod("graceful", polite, deaf, terminationGracePeriodSeconds=2, volumes=[
            {"name": "out", "hostPath": {"path": str(tmp_path), "type": "DirectoryOrCreate"}}
        ], initContainers=[container("rm -f /out/log; chmod 777 /out", "clean", volumeMounts=files,
                                     securityContext={"runAsUser": 0})])  # fmt: skip
        graceful["metadata"]["finalizers"] = watched
        space.apply(graceful)
        space.ready("graceful")
        space.kubectl("delete", "pod", "graceful", "--wait=false")
        done = eventually(
            lambda: (p := space.get("pod", "graceful"))["status"]["phase"] in ("Failed", "Succeeded") and p,
            "its end",
            20,
        )
        assert state_of(done)["state"]["terminated"]["exitCode"] == 5
        assert state_of(done, "deaf")["state"]["terminated"]["exitCode"] == 137
        log = [mount("out", "/out")]
        space.apply(
            pod(
                "reader", container("cat /out/log", volumeMounts=log), restartPolicy="Never",
                volumes=[{"name": "out", "hostPath": {"path": str(tmp_path)}}],
            )
        )  # fmt: skip
        space.ended("reader")
        assert space.kubectl("logs", "reader").split() == ["post", "pre", "TERM"]
        assert "Liveness probe failed" not in space.events("pod/graceful")
        space.kubectl(
            "patch", "pod", "graceful", "--type=json", "-p", '[{"op":"remove","path":"/metadata/finalizers"}]'
        )
        space.gone("pod", "graceful")

    def test_restart_policies_and_back_off(self, space: Space) -> None:
        fails_once = container("[ -e /d/x ] && exit 0; touch /d/x; exit 1", volumeMounts=[mount("d", "/d")])
        space.apply(
            pod("crashing", container("echo crashed; exit 3")),
            pod("never", container("exit 3"), restartPolicy="Never"),
            pod("on-failure", fails_once, restartPolicy="OnFailure", volumes=[{"name": "d", "emptyDir": {}}]),
            pod("hurried", activeDeadlineSeconds=1),
        )
        assert state_of(space.ended("never", "Failed"))["restartCount"] == 0
        hurried = space.ended("hurried", "Failed")
        assert hurried["status"]["reason"] == "DeadlineExceeded"
        eventually(lambda: "CrashLoopBackOff" in space.kubectl("get", "pods", "crashing"), "CrashLoopBackOff", 30)
        assert "back-off" in state_of(space.get("pod", "crashing"))["state"]["waiting"]["message"]
        assert "Back-off restarting failed container" in space.events("pod/crashing")
        assert space.kubectl("logs", "crashing", "--previous").strip() == "crashed"
        assert state_of(space.ended("on-failure"))["restartCount"] == 1
        space.delete("pod/crashing", "--wait=false")


class TestEnvironment:
    def test_every_source_of_variables(self, space: Space) -> None:
        space.apply(
            obj("ConfigMap", "settings", data={"colour": "red", "size": "xl"}),
            obj("Secret", "key", stringData={"password": "s3cr3t"}),
            obj("Service", "far", spec={"ports": [{"port": 81, "name": "web"}], "selector": {"app": "none"}}),
        )

        def field(path: str) -> dict[str, Any]:
            return {"fieldRef": {"fieldPath": path}}

        values: dict[str, Any] = {
            "NAME": field("metadata.name"),
            "LABEL": field("metadata.labels['app']"),
            "IP": field("status.podIP"),
            "NODE": field("spec.nodeName"),
            "ACCOUNT": field("spec.serviceAccountName"),
            "COLOUR": {"configMapKeyRef": {"name": "settings", "key": "colour"}},
            "ABSENT": {"configMapKeyRef": {"name": "settings", "key": "none", "optional": True}},
            "PASSWORD": {"secretKeyRef": {"name": "key", "key": "password"}},
            "LIMIT": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}},
            "CPU": {"resourceFieldRef": {"resource": "requests.cpu", "divisor": "1m"}},
        }
        env = [{"name": name, "valueFrom": source} for name, source in values.items()]
        env += [{"name": "GREETING", "value": "$(NAME) is $(COLOUR), not $$(COLOUR) or $(NOTHING)"}]
        from_all = [{"configMapRef": {"name": "settings"}, "prefix": "ALL_"}, {"secretRef": {"name": "key"}}]
        main = container(
            "env; echo ARGS $0 $1", env=env, envFrom=from_all, args=["$(NAME)", "$(COLOUR)"],
            resources={"limits": {"memory": "64Mi"}, "requests": {"cpu": "20m"}},
        )  # fmt: skip
        space.apply(pod("env", main, labels={"app": "env"}, restartPolicy="Never"))
        done = space.ended("env")
        lines = space.kubectl("logs", "env").splitlines()
        seen = dict(line.split("=", 1) for line in lines if "=" in line)
        expected = {
            "NAME": "env", "LABEL": "env", "IP": done["status"]["podIP"], "NODE": "node-1", "ACCOUNT": "default",
            "COLOUR": "red", "PASSWORD": "s3cr3t", "LIMIT": "64", "CPU": "20", "ALL_size": "xl", "password": "s3cr3t",
            "GREETING": "env is red, not $(COLOUR) or $(NOTHING)", "HOSTNAME": "env",
            "KUBERNETES_SERVICE_HOST": "10.96.0.1", "FAR_SERVICE_PORT_WEB": "81",
        }  # fmt: skip
        assert {name: seen.get(name) for name in expected} == expected
        assert "ABSENT" not in seen
        assert "ARGS env red" in lines

    def test_names_and_dns_of_a_pod(self, space: Space) -> None:
        spec: dict[str, Any] = {
            "hostname": "one", "subdomain": "team", "setHostnameAsFQDN": False,
            "hostAliases": [{"ip": "10.1.2.3", "hostnames": ["elder", "elder.example"]}],
            "dnsConfig": {"searches": ["example.org"], "options": [{"name": "ndots", "value": "2"}, {"name": "debug"}]},
        }  # fmt: skip
        own = {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["10.9.8.7"], "searches": ["only.example"]}}
        space.apply(
            obj("Service", "team", spec={"clusterIP": "None", "selector": {"app": "team"}, "ports": [{"port": 1}]}),
            pod("member", labels={"app": "team"}, **spec),
            pod("own-dns", **own),
        )
        member = space.ready("member")
        space.ready("own-dns")
        assert space.sh("member", "hostname") == "one"
        hosts = space.sh("member", "cat /etc/hosts")
        assert "10.1.2.3\telder\telder.example" in hosts
        assert f"{member['status']['podIP']}\tone.team.pods.svc.cluster.local\tone" in hosts
        resolv = space.sh("member", "cat /etc/resolv.conf").splitlines()
        assert "search pods.svc.cluster.local svc.cluster.local cluster.local example.org" in resolv
        assert "options debug ndots:2" in resolv or "options ndots:2 debug" in resolv
        assert space.sh("own-dns", "cat /etc/resolv.conf").splitlines() == [
            "search only.example",
            "nameserver 10.9.8.7",
        ]
        lookup = "getent ahostsv4 one.team.pods.svc.cluster.local"
        assert member["status"]["podIP"] in space.sh("member", lookup)
        space.delete("pod/member", "pod/own-dns", "--wait=false")


class TestVolumes:
    def test_shared_and_in_memory_and_of_the_host(self, space: Space) -> None:
        shared = [mount("shared", "/s"), mount("memory", "/m"), mount("host", "/h", readOnly=True)]
        writer = container("echo hello > /s/f; exec sleep 1000", "writer", volumeMounts=shared)
        volumes = [
            {"name": "shared", "emptyDir": {}},
            {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
            {"name": "host", "hostPath": {"path": "/etc/debian_version", "type": "File"}},
        ]
        space.apply(
            pod("shares", writer, container(volumeMounts=shared), volumes=volumes),
            pod("no-path", container(volumeMounts=[mount("host", "/h")]),
                volumes=[{"name": "host", "hostPath": {"path": "/no/such", "type": "Directory"}}]),
        )  # fmt: skip
        space.ready("shares")
        assert space.sh("shares", "cat /s/f") == "hello"
        assert space.sh("shares", "grep ' /m ' /proc/mounts").split()[2] == "tmpfs"
        assert space.sh("shares", "head -c 2000000 /dev/zero > /m/big 2>&1 || echo full").endswith("full")
        assert space.sh("shares", "cat /h")[:2].isdigit()
        assert "Read-only" in space.sh("shares", "echo x 2>&1 > /h || true; touch /h 2>&1 || true")
        eventually(lambda: "hostPath type check failed" in space.events("pod/no-path"), "FailedMount", 20)
        space.delete("pod/shares", "pod/no-path", "--wait=false")

    def test_configuration_as_files(self, space: Space) -> None:
        space.apply(
            obj("ConfigMap", "files", data={"a": "A", "b": "B"}, binaryData={"bin": "AAE="}),
            obj("Secret", "keys", stringData={"key": "K"}),
        )
        mounts = [
            mount("config", "/config"), mount("config", "/etc/one.conf", subPath="nested/a"),
            mount("secret", "/secret"), mount("all", "/all"), mount("labels", "/labels"),
        ]  # fmt: skip
        item = [{"key": "a", "path": "nested/a", "mode": 0o400}]
        labels_file = {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}
        token = {"serviceAccountToken": {"path": "token", "expirationSeconds": 600, "audience": "vault"}}
        everything = [{"configMap": {"name": "files"}}, {"secret": {"name": "keys"}}, token]
        volumes = [
            {"name": "config", "configMap": {"name": "files", "items": item}},
            {"name": "secret", "secret": {"secretName": "keys", "defaultMode": 0o440}},
            {"name": "all", "projected": {"sources": everything}},
            {"name": "labels", "downwardAPI": labels_file},
        ]  # fmt: skip
        main = container(volumeMounts=mounts, securityContext={"runAsUser": 0})
        space.apply(pod("files", main, labels={"tier": "front"}, volumes=volumes))
        space.ready("files")
        assert space.sh("files", "ls /config; cat /config/nested/a /etc/one.conf") == "nested\nAA"
        assert space.sh("files", "stat -Lc %a /config/nested/a /secret/key") == "400\n440"
        assert space.sh("files", "stat -fLc %T /secret") == "tmpfs"
        assert space.sh("files", "ls /all").split() == ["a", "b", "bin", "key", "token"]
        assert space.sh("files", "cat /labels/labels") == 'tier="front"'
        assert "Read-only" in space.sh("files", "touch /config/x 2>&1 || true")
        claims = json.loads(space.sh("files", "cut -d. -f2 /all/token | tr _- /+ | base64 -d 2>/dev/null || true"))
        assert claims["aud"] == ["vault"]
        space.kubectl("label", "pod", "files", "tier=back", "--overwrite")
        eventually(lambda: space.sh("files", "cat /labels/labels") == 'tier="back"', "the label in the file", 90)
        space.delete("pod/files", "--wait=false")

    def test_a_missing_configmap_is_awaited(self, space: Space) -> None:
        waiting = container(volumeMounts=[mount("late", "/late")])
        needed = container("env", env=[{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "late", "key": "x"}}}])
        space.apply(
            pod("waits", waiting, volumes=[{"name": "late", "configMap": {"name": "late"}}]),
            pod("needs", needed, restartPolicy="Never"),
        )
        eventually(lambda: 'configmap "late" not found' in space.events("pod/waits"), "FailedMount", 20)
        assert "FailedMount" in space.events("pod/waits")
        eventually(lambda: "CreateContainerConfigError" in space.kubectl("get", "pod", "needs"), "why not", 20)
        assert 'container "main" in pod "waits" is waiting to start: ContainerCreating' in space.fails("logs", "waits")
        space.apply(obj("ConfigMap", "late", data={"x": "y"}))
        space.until("pod", "waits", "condition=Ready", within_s=150)
        space.ended("needs")

    def test_a_claim_is_provisioned_and_removed(self, space: Space) -> None:
        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "8Mi"}}}
        mounted = container("echo kept > /data/f; exec sleep 1000", volumeMounts=[mount("data", "/data")])
        volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
        space.apply(obj("PersistentVolumeClaim", "data", spec=claim))
        assert space.get("pvc", "data")["status"]["phase"] == "Pending"
        space.apply(pod("writer", mounted, volumes=volumes))
        space.ready("writer")
        volume = space.get("pv", space.get("pvc", "data")["spec"]["volumeName"])
        directory = (volume["spec"].get("local") or volume["spec"]["hostPath"])["path"]
        space.kubectl("delete", "pvc", "data", "--wait=false")
        assert space.get("pvc", "data")["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
        space.delete("pod/writer")
        space.gone("pvc", "data")
        space.gone("pv", volume["metadata"]["name"])
        space.apply(
            pod("looks", container(f"ls -d /host{directory} || true", volumeMounts=[mount("root", "/host")],
                           securityContext={"runAsUser": 0}),
                restartPolicy="Never", volumes=[{"name": "root", "hostPath": {"path": "/"}}]),
        )  # fmt: skip
        space.ended("looks")
        assert "No such file" in space.kubectl("logs", "looks")


class TestSecurityAndLimits:
    def test_the_security_context(self, space: Space) -> None:
        secured = container(
            "id -u; id -g; grep -E 'CapEff|NoNewPrivs' /proc/self/status; touch /x 2>&1; touch /tmp/x && echo tmp",
            volumeMounts=[mount("tmp", "/tmp")],
            securityContext={
                "runAsUser": 1234, "runAsGroup": 5678, "readOnlyRootFilesystem": True,
                "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]},
            },
        )  # fmt: skip
        root = container(
            "id -u; id -G; grep CapEff /proc/self/status; stat -c %g /v", "root", volumeMounts=[mount("tmp", "/v")],
            securityContext={"runAsUser": 0, "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}},
        )  # fmt: skip
        space.apply(
            pod("secured", secured, root, volumes=[{"name": "tmp", "emptyDir": {}}], restartPolicy="Never",
                securityContext={"fsGroup": 777, "supplementalGroups": [888]}),
            pod("not-root", container(securityContext={"runAsNonRoot": True, "runAsUser": 0})),
        )  # fmt: skip
        space.ended("secured")
        out = space.kubectl("logs", "secured", "-c", "main").splitlines()
        assert out[:2] == ["1234", "5678"]
        assert "CapEff:\t0000000000000000" in out
        assert "NoNewPrivs:\t1" in out
        assert "Read-only file system" in out[4]
        assert out[-1] == "tmp"
        out = space.kubectl("logs", "secured", "-c", "root").splitlines()
        assert out == ["0", "0 777 888", "CapEff:\t0000000000001000", "777"]
        eventually(lambda: "CreateContainerConfigError" in space.kubectl("get", "pod", "not-root"), "the refusal", 20)
        message = state_of(space.get("pod", "not-root"))["state"]["waiting"]["message"]
        assert "runAsUser breaks non-root policy" in message
        space.delete("pod/not-root", "--wait=false")

    def test_limits_are_the_kernels_and_too_much_memory_kills(self, space: Space) -> None:
        limits = {"limits": {"memory": "64Mi", "cpu": "200m"}, "requests": {"cpu": "100m"}}
        read = "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.shares"
        greedy = "node -e 'const a = []; for (;;) a.push(Buffer.alloc(1e7, 1))'"
        space.apply(
            pod("limited", container(read, resources=limits), restartPolicy="Never"),
            pod("greedy", container(f"exec {greedy}", resources=limits), restartPolicy="Never"),
        )
        space.ended("limited")
        assert space.kubectl("logs", "limited").split() == [str(64 << 20), "20000", "102"]
        ended = state_of(space.ended("greedy", "Failed"))["state"]["terminated"]
        assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)
        assert "OOMKilled" in space.kubectl("get", "pod", "greedy")

    def test_the_mounted_token_opens_the_api(self, space: Space) -> None:
        code = (
            "const fs = require('fs'), d = '/var/run/secrets/kubernetes.io/serviceaccount/';"
            "const headers = {Authorization: 'Bearer ' + fs.readFileSync(d + 'token')};"
            "const ask = async path => { const r = await fetch('https://kubernetes.default.svc' + path, {headers});"
            " console.log(r.status, (await r.text()).replace(/\\s+/g, ' ').slice(0, 200)) };"
            "(async () => { await ask('/version'); await ask('/api/v1/namespaces/' + fs.readFileSync(d + 'namespace')"
            " + '/pods/asks'); await ask('/api/v1/secrets') })()"
        )
        bundle = [{"name": "NODE_EXTRA_CA_CERTS", "value": "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"}]
        asks = container(env=bundle)
        asks["command"] = ["node", "-e", code]
        space.kubectl("create", "rolebinding", "view", "--clusterrole=view", "--serviceaccount=pods:default")
        space.apply(pod("asks", asks, restartPolicy="Never"))
        space.ended("asks")
        version, own, secrets = space.kubectl("logs", "asks").splitlines()
        assert version.startswith("200")
        assert "kajitori" in version
        assert own.startswith("200 {")
        assert secrets.startswith("403")
        assert "system:serviceaccount:pods:default" in secrets
