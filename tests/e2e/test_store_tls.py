"""etcd that wants TLS and a client's certificate; what is told when it is not given."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from etcd_cluster import EtcdCluster
from store_load import ApiProcess

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(not shutil.which("etcd"), reason="etcd is not installed")]


def make_certificates(folder: Path) -> None:
    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    for authority in ("ca", "other-ca"):
        openssl(
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={authority}"),
            *("-keyout", f"{authority}.key", "-out", f"{authority}.pem"),
        )
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    for name in ("server", "client"):
        openssl(
            *("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}"),
            *("-keyout", f"{name}.key", "-out", f"{name}.csr"),
        )
        openssl(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"),
            *("-days", "2", "-extfile", "names", "-out", f"{name}.pem"),
        )


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[EtcdCluster]:
    make_certificates(tmp_path)
    server = (f"--cert-file={tmp_path}/server.pem", f"--key-file={tmp_path}/server.key")
    clients = ("--client-cert-auth", f"--trusted-ca-file={tmp_path}/ca.pem")
    etcd = EtcdCluster(tmp_path / "etcd", 1, secure=(*server, *clients))
    etcd.start()
    etcd.wait(f"?ca={tmp_path}/ca.pem&cert={tmp_path}/client.pem&key={tmp_path}/client.key")
    yield etcd
    etcd.kill()


def test_a_server_that_has_its_certificate_works(etcd: EtcdCluster, tmp_path: Path):
    server = ApiProcess(tmp_path / "data", etcd.url)
    files = (f"--etcd-cafile={tmp_path}/ca.pem", f"--etcd-certfile={tmp_path}/client.pem")
    server.start(*files, f"--etcd-keyfile={tmp_path}/client.key")

    async def main() -> None:
        client = server.client()
        await server.ready(client)
        assert (await client.raw("GET", "/api/v1/namespaces/default"))[0] == 200
        await client.close()

    try:
        asyncio.run(main())
    finally:
        server.kill()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "whether they want TLS (--etcd-cafile)"),
        (("--etcd-cafile=other-ca.pem",), "--etcd-cafile"),
        (("--etcd-cafile=ca.pem", "--etcd-certfile=client.pem"), "give both, or neither"),
        (("--etcd-cafile=nowhere.pem",), "nowhere.pem: No such file or directory"),
    ],
)
def test_a_server_that_has_not_says_what_it_needs(
    etcd: EtcdCluster, tmp_path: Path, options: tuple[str, ...], told: str
):
    server = ApiProcess(tmp_path / "data", etcd.url)
    server.start(*(option.replace("=", f"={tmp_path}/") for option in options))
    assert server.process is not None
    assert server.process.wait(40) == 1
    line = server.errors.read_text().strip().splitlines()[-1]
    assert line.startswith("kajitori: ") and told in line, line
