"""TLS: a client may show any certificate; only one that is verified comes with its chain."""

import asyncio
import datetime
import ipaddress
import shutil
import socket
import ssl

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kajitori.apiserver.http import ciphers
from kajitori.apiserver.http.limits import Limits
from kajitori.apiserver.http.listener import HttpServer
from kajitori.apiserver.http.tls import KeyPair, ServingTls, TlsSettings, server_context
from kajitori.apiserver.http_types import Response
from kajitori.kit.clock import SystemClock

START, END = (datetime.datetime(year, 1, 1, tzinfo=datetime.UTC) for year in (2020, 2100))


def certificate(name, issuer=None, *, authority=False, end=END, purpose=None):
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
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    )
    if purpose is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
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
    write(folder, "theirs", theirs)
    write(folder, "namesake", certificate("namesake", certificate("ours", authority=True)))
    write(folder, "itself", certificate("itself"))
    write(folder, "below", certificate("below", certificate("no-authority", ours)))
    write(folder, "serving", certificate("serving", ours, purpose=ExtendedKeyUsageOID.SERVER_AUTH))
    write(folder, "other", certificate("other", ours))
    write(folder, "late", certificate("late", ours, end=START + datetime.timedelta(days=1)))
    between = certificate("between", ours, authority=True)
    write(folder, "deep", certificate("deep", between))
    with (folder / "deep.crt").open("ab") as chain:
        chain.write(between[0].public_bytes(serialization.Encoding.PEM))
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
        await asyncio.wait_for(scenario(port), 60)
        await server.drain(1)

    uvloop.run(main())


def test_the_peers_certificate_reaches_authentication(folder):
    async def scenario(port):
        assert await fetch(port, client_context(folder)) == "nobody"
        assert await fetch(port, client_context(folder, "jane")) == "CN=jane"

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


def serving(folder, **more):
    pair = KeyPair(folder / "server.crt", folder / "server.key")
    return ServingTls(TlsSettings(shown=pair, authorities=(folder / "ca.crt",), **more))


def serve_with(tls, scenario):
    async def application(request):
        chain = request.connection.chain
        names = [x509.load_der_x509_certificate(der).subject.rfc4514_string() for der in chain]
        return Response(200, " ".join(names).encode() or b"nobody")

    async def main():
        server = HttpServer(application, SystemClock(), Limits(handshake_timeout_s=60))
        port = await server.start("127.0.0.1", 0, tls.front)
        await asyncio.wait_for(scenario(port), 60)
        await server.drain(1)

    uvloop.run(main())


async def shown(port, folder, name=None):
    """The common name of what a client is shown that asks for this name."""
    context = client_context(folder)
    context.check_hostname = False
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name or "")
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return x509.load_der_x509_certificate(der).subject.rfc4514_string()


def test_the_chain_by_which_a_client_was_verified_is_known(folder):
    async def scenario(port):
        assert await fetch(port, client_context(folder, "jane")) == "CN=jane CN=ours"
        assert await fetch(port, client_context(folder, "deep")) == "CN=deep CN=between CN=ours"
        assert await fetch(port, client_context(folder)) == "nobody"

    serve_with(serving(folder), scenario)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("name", ["mallory", "namesake", "itself", "below", "serving"])
def test_a_client_in_whom_nobody_vouches_is_let_in_without_a_chain(folder, name, version):
    async def scenario(port):
        context = client_context(folder, name)
        context.minimum_version = context.maximum_version = version
        assert await fetch(port, context) == "nobody"
        assert await fetch(port, client_context(folder, "jane")) == "CN=jane CN=ours"

    serve_with(serving(folder), scenario)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_that_comes_back_is_verified_again(folder, version):
    """With a session of before OpenSSL would not know the chain any more."""

    def twice(port):
        context, session = client_context(folder, "jane"), None
        context.minimum_version = context.maximum_version = version
        for _ in range(2):
            with (
                socket.create_connection(("127.0.0.1", port)) as raw,
                context.wrap_socket(raw, server_hostname="127.0.0.1", session=session) as tls,
            ):
                tls.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                answer = b"".join(iter(lambda tls=tls: tls.recv(4096), b""))
                assert answer.endswith(b"CN=jane CN=ours")
                assert not tls.session_reused
                session = tls.session

    async def scenario(port):
        await asyncio.to_thread(twice, port)

    serve_with(serving(folder), scenario)


def test_an_expired_client_is_let_in_to_be_refused_with_words(folder):
    async def scenario(port):
        assert await fetch(port, client_context(folder, "late")) == "CN=late CN=ours"

    serve_with(serving(folder), scenario)


def test_changed_files_count_for_new_connections(folder, tmp_path):
    for name in ("server", "ca"):
        shutil.copy(folder / f"{name}.crt", tmp_path)
    shutil.copy(folder / "server.key", tmp_path)
    tls = serving(tmp_path)

    async def scenario(port):
        assert await fetch(port, client_context(folder, "jane")) == "CN=jane CN=ours"
        assert await shown(port, folder) == "CN=server"
        (tmp_path / "server.crt").write_bytes((folder / "other.crt").read_bytes())
        with pytest.raises(ssl.SSLError):  # the key does not belong to it yet
            tls.reload()
        assert await shown(port, folder) == "CN=server"
        (tmp_path / "server.key").write_bytes((folder / "other.key").read_bytes())
        (tmp_path / "ca.crt").write_bytes((folder / "theirs.crt").read_bytes())
        tls.reload()
        assert await shown(port, folder) == "CN=other"
        assert await fetch(port, client_context(folder, "mallory")) == "CN=mallory CN=theirs"
        assert await fetch(port, client_context(folder, "jane")) == "nobody"

    serve_with(tls, scenario)


def test_names_that_clients_ask_for_have_their_own_certificate(folder):
    other = KeyPair(folder / "other.crt", folder / "other.key")

    async def scenario(port):
        assert await shown(port, folder, "a.example.com") == "CN=other"
        assert await shown(port, folder, "b.EXAMPLE.org") == "CN=other"
        assert await shown(port, folder, "a.b.example.org") == "CN=server"
        assert await shown(port, folder) == "CN=server"

    serve_with(serving(folder, named=((other, ("a.example.com", "*.example.org")),)), scenario)


def test_only_the_chosen_suites_and_versions_are_spoken(folder):
    async def agreed(port, version):
        context = client_context(folder)
        context.minimum_version = context.maximum_version = version
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        cipher = writer.get_extra_info("cipher")[0]
        writer.close()
        return cipher

    async def scenario(port):
        assert await agreed(port, ssl.TLSVersion.TLSv1_2) == "ECDHE-ECDSA-AES256-GCM-SHA384"
        assert (await agreed(port, ssl.TLSVersion.TLSv1_3)).startswith("TLS_")

    serve_with(serving(folder, ciphers=("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",)), scenario)

    async def newer(port):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await agreed(port, ssl.TLSVersion.TLSv1_2)
        assert (await agreed(port, ssl.TLSVersion.TLSv1_3)).startswith("TLS_")

    serve_with(serving(folder, ciphers=("TLS_AES_128_GCM_SHA256",)), newer)
    serve_with(serving(folder, minimum=ssl.TLSVersion.TLSv1_3), newer)


def test_every_suite_that_may_be_named_is_one_of_openssl():
    for suite in ciphers._OPENSSL:
        ssl.create_default_context().set_ciphers(":".join(ciphers.openssl_names([suite])))
    with pytest.raises(ValueError, match="unknown cipher suite TLS_FOO; known are TLS_AES_128_GCM_SHA256"):
        ciphers.openssl_names(["TLS_FOO"])
