"""The bundled kubectl over WebSocket (v5, tunnelled port-forward) to a real runtime that speaks SPDY alone."""

import asyncio
import hashlib
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from one_node import Node, in_own_namespaces, one_node

from kajitori.apiserver.authz.union import PrivilegedGroup
from kajitori.apiserver.extension import Extension
from kajitori.apiserver.streams.kubelets import Kubelets
from kajitori.apiserver.streams.pods import PodStreams

pytestmark = pytest.mark.e2e
KUBECTL = str(Path(sys.executable).parent / "kubectl")
BYTES = 5_000_000


async def served(node: Node) -> str:
    """The API server of the test's process with its stream endpoints, on plain HTTP."""
    server = node.plane.server
    for end in ("crt", "key"):
        (node.pki / f"apiserver-kubelet-client.{end}").write_bytes((node.pki / f"asking.{end}").read_bytes())
    streams = PodStreams(server.objects, Kubelets(server.objects, node.pki), PrivilegedGroup())
    server.install(replace(Extension(), handlers=streams.handlers()))
    return f"http://127.0.0.1:{await server.serve('127.0.0.1', 0)}"


async def kubectl(url: str, *arguments: str, stdin: bytes = b"") -> tuple[int, bytes, str]:
    process = await asyncio.create_subprocess_exec(
        KUBECTL, "--server", url, *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(stdin), 40)
    assert process.returncode is not None
    return process.returncode, out, err.decode(errors="replace")


def test_kubectl_needs_no_fallback_to_spdy():
    async def main() -> None:
        async with one_node() as node:
            await node.run_pod("app", "httpd -f -p 8080 -h /etc")
            await node.phase("app", "Running")
            url = await served(node)

            code, out, err = await kubectl(
                url, "exec", "app", "-v=8", "--", "sh", "-c", "echo out; echo err >&2; exit 7"
            )
            assert (code, out) == (7, b"out\n") and "err\n" in err, (code, out, err)
            assert "v5.channel.k8s.io" in err and "SPDY" not in err, err

            script = "sort; sleep 0.3; echo after"
            code, out, err = await kubectl(url, "exec", "-i", "app", "--", "sh", "-c", script, stdin=b"b\na\n")
            assert (code, out) == (0, b"a\nb\nafter\n"), (code, out, err)

            sent = bytes(range(256)) * (BYTES // 256)
            code, out, err = await kubectl(url, "exec", "-i", "app", "--", "cat", stdin=sent)
            assert code == 0 and hashlib.sha256(out).digest() == hashlib.sha256(sent).digest(), (code, len(out), err)

            code, out, err = await kubectl(url, "exec", "app", "--", "nothing-of-this-name")
            assert code != 0 and "nothing-of-this-name" in err, (code, err)

            forward = await asyncio.create_subprocess_exec(
                KUBECTL, "--server", url, "port-forward", "pod/app", ":8080", stdout=asyncio.subprocess.PIPE
            )
            try:
                assert forward.stdout is not None
                line = await asyncio.wait_for(forward.stdout.readline(), 20)
                port = int(re.findall(rb"127.0.0.1:(\d+)", line)[0])
                for _ in range(2):
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.write(b"GET /passwd HTTP/1.0\r\n\r\n")
                    assert b"root:x:0:0" in await asyncio.wait_for(reader.read(), 20)
                    writer.close()
            finally:
                forward.terminate()
                await forward.wait()

    in_own_namespaces(main)
