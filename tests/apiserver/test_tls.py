"""TLS: a client may show a certificate of the cluster's authority, and no other."""

import asyncio
import datetime
import ipaddress
import ssl

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kajitori.apiserver.http.limits import Limits
from kajitori.apiserver.http.listener import HttpServer
from kajitori.apiserver.http.tls import server_context
from kajitori.apiserver.http_types import Response
from kajitori.kit.clock import SystemClock

START, END = (datetime.datetime(year, 1, 1, tzinfo=datetime.UTC) for year in (2020, 2100))


def certificate(name, issuer=None, *, authority=False):
    """(certificate, key); signed by `issuer`, or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer, signing_key = issuer if issuer else (None, key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer.subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(START)
        .not_valid_after(END)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    )
    return builder.sign(signing_key, hashes.SHA256()), key


def write(folder, name, pair):
    signed, key = pair
    (folder / f"{name}.crt").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / f"{name}.key").write_bytes(private)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    ours, theirs = certificate("ours", authority=True), certificate("theirs", authority=True)
    write(folder, "ca", ours)
    write(folder, "server", certificate("server", ours))
    write(folder, "jane", certificate("jane", ours))
    write(folder, "mallory", certificate("mallory", theirs))
    return folder


def client_context(folder, name=""):
    context = ssl.create_default_context(cafile=folder / "ca.crt")
    if name:
        context.load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
    return context


async def fetch(port, tls):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    body = (await reader.read()).partition(b"\r\n\r\n")[2]
    writer.close()
    if not body:
        raise ConnectionResetError
    return body.decode()


def serve(folder, scenario, handshake_timeout_s=60.0):
    async def application(request):
        found = x509.load_der_x509_certificate(request.certificate) if request.certificate else None
        return Response(200, (found.subject.rfc4514_string() if found else "nobody").encode())

    async def main():
        server = HttpServer(application, SystemClock(), Limits(handshake_timeout_s=handshake_timeout_s))
        tls = server_context(folder / "server.crt", folder / "server.key", folder / "ca.crt")
        port = await server.start("127.0.0.1", 0, tls)
        await asyncio.wait_for(scenario(port), 10)
        await server.drain(1)

    uvloop.run(main())


def test_the_peers_certificate_reaches_authentication(folder):
    async def scenario(port):
        assert await fetch(port, client_context(folder)) == "nobody"
        assert await fetch(port, client_context(folder, "jane")) == "CN=jane"

    serve(folder, scenario)


def test_a_certificate_of_another_authority_is_refused(folder):
    async def scenario(port):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await fetch(port, client_context(folder, "mallory"))

    serve(folder, scenario)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_protocols_are_refused(folder):
    async def scenario(port):
        old = client_context(folder)
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await fetch(port, old)

    serve(folder, scenario)


def test_a_handshake_that_is_not_made_is_given_up(folder):
    async def scenario(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read() == b""
        writer.close()

    serve(folder, scenario, handshake_timeout_s=0.1)
