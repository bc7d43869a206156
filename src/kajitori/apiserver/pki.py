"""The cluster's certificates and keys: EC P-256, PEM, laid out in one directory as kubeadm lays them out.

Everything above `Pki` is pure: time comes in as seconds since the epoch, certificates go out as PEM. `ensure` alone
touches the disk. See the PKI requirements page of the Kubernetes documentation for who needs which certificate.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kajitori.kit.files import replace_file

AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 365
RENEW_BEFORE_S = 30 * 86400.0
# Clocks of nodes that join may be behind ours.
BACKDATE = timedelta(minutes=5)


class PkiError(Exception):
    """A file of the PKI cannot be used; the message names it and the remedy."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, PEM."""

    certificate: bytes
    key: bytes


def create_authority(common_name: str, now_s: float) -> Pair:
    """A self-signed certificate authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = (
        _builder(name, name, key.public_key(), now_s, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(common_name)]), critical=False)
    )
    return _signed(builder, key, key)


def issue_serving(authority: Pair, common_name: str, sans: Iterable[str], now_s: float, group: str = "") -> Pair:
    """A server's certificate for these DNS names and IP addresses."""
    names = x509.SubjectAlternativeName([_general_name(san) for san in sans])
    groups = (group,) if group else ()
    return _issue(authority, common_name, groups, ExtendedKeyUsageOID.SERVER_AUTH, now_s, names)


def issue_client(authority: Pair, user: str, groups: Sequence[str], now_s: float) -> Pair:
    """A client's certificate: CN is the user, every O a group."""
    return _issue(authority, user, groups, ExtendedKeyUsageOID.CLIENT_AUTH, now_s)


def create_signing_key() -> bytes:
    """A private key for service account tokens (ES256)."""
    return _key_pem(ec.generate_private_key(ec.SECP256R1()))


def public_key(private_key: bytes) -> bytes:
    """The public half, PEM."""
    key = serialization.load_pem_private_key(private_key, password=None)
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def needs_reissue(
    certificate: bytes, authority: bytes, sans: Iterable[str], now_s: float, subject: x509.Name | None = None
) -> bool:
    """Whether a certificate is unreadable, about to expire, of another authority, for other names or of another
    subject."""
    try:
        found, issuer = x509.load_pem_x509_certificate(certificate), x509.load_pem_x509_certificate(authority)
        found.verify_directly_issued_by(issuer)
    except Exception:
        return True
    wanted = {_general_name(san) for san in sans}
    try:
        present = set(found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        present = set()
    is_other = present != wanted or (subject is not None and found.subject != subject)
    return is_other or found.not_valid_after_utc.timestamp() - now_s < RENEW_BEFORE_S


def _subject(common_name: str, groups: Sequence[str]) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _issue(
    authority: Pair,
    common_name: str,
    groups: Sequence[str],
    purpose: x509.ObjectIdentifier,
    now_s: float,
    names: x509.SubjectAlternativeName | None = None,
) -> Pair:
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    issuer_key = _private_key(authority.key)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(_subject(common_name, groups), issuer.subject, key.public_key(), now_s, CERTIFICATE_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if names is not None:
        builder = builder.add_extension(names, critical=False)
    return _signed(builder, issuer_key, key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now_s: float, days: int
) -> x509.CertificateBuilder:
    now = datetime.fromtimestamp(int(now_s), UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _signed(
    builder: x509.CertificateBuilder, issuer_key: ec.EllipticCurvePrivateKey, key: ec.EllipticCurvePrivateKey
) -> Pair:
    certificate = builder.sign(issuer_key, hashes.SHA256())
    return Pair(certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key))


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _private_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise PkiError("the certificate authority's key is not an EC key; give one of P-256")
    return key


def _general_name(san: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(san))
    except ValueError:
        return x509.DNSName(san)


@dataclass(frozen=True, slots=True)
class Pki:
    """What an API server needs, PEM. `directory` holds the same as files, for processes that read paths."""

    directory: Path
    authority: Pair
    serving: Pair
    kubelet_client: Pair
    front_proxy_authority: Pair
    front_proxy_client: Pair
    service_account_key: bytes


def ensure(directory: Path, sans: Sequence[str], now_s: float) -> Pki:
    """Create what is missing, re-issue what is expiring or for other names, and return everything.

    Authorities and the service account key are never replaced: what they signed is in use. Raises PkiError.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority = _authority(directory, "ca", "kubernetes", now_s)
    front_proxy = _authority(directory, "front-proxy-ca", "front-proxy-ca", now_s)
    return Pki(
        directory,
        authority,
        ensure_pair(
            directory / "apiserver",
            authority,
            sans,
            now_s,
            lambda: issue_serving(authority, "kube-apiserver", sans, now_s),
        ),
        ensure_client(directory / "apiserver-kubelet-client", authority, KUBELET_CLIENT, (), now_s),
        front_proxy,
        ensure_client(directory / "front-proxy-client", front_proxy, FRONT_PROXY_CLIENT, (), now_s),
        _signing_key(directory),
    )


KUBELET_CLIENT = "kube-apiserver-kubelet-client"
"""Whom kubelets know by this name; to the API server itself it is nobody in particular."""
FRONT_PROXY_CLIENT = "front-proxy-client"


def ensure_client(stem: Path, authority: Pair, user: str, groups: Sequence[str], now_s: float) -> Pair:
    """The client certificate kept in `stem`.crt and `stem`.key, issued anew when it has to be."""
    subject = _subject(user, groups)
    return ensure_pair(stem, authority, (), now_s, lambda: issue_client(authority, user, groups, now_s), subject)


def ensure_pair(
    stem: Path,
    authority: Pair,
    sans: Iterable[str],
    now_s: float,
    issue: Callable[[], Pair],
    subject: x509.Name | None = None,
) -> Pair:
    """The pair kept in `stem`.crt and `stem`.key, or a new one in its place when it is missing or no longer fits."""
    found = _read_pair(stem)
    fits = found and _belong_together(found)
    if found and fits and not needs_reissue(found.certificate, authority.certificate, sans, now_s, subject):
        return found
    pair = issue()
    _write_pair(stem, pair)
    return pair


def _authority(directory: Path, name: str, common_name: str, now_s: float) -> Pair:
    stem = directory / name
    found = _read_pair(stem)
    if found is None:
        if _with_suffix(stem, ".crt").exists() or _with_suffix(stem, ".key").exists():
            raise PkiError(f"{stem}.crt or {stem}.key is missing: restore it, or remove both to create a new cluster")
        found = create_authority(common_name, now_s)
        _write_pair(stem, found)
        return found
    if not _belong_together(found):
        raise PkiError(f"{stem}.crt and {stem}.key do not belong together: restore the right pair")
    if x509.load_pem_x509_certificate(found.certificate).not_valid_after_utc.timestamp() <= now_s:
        raise PkiError(f"{stem}.crt has expired: remove {directory} to create a new cluster")
    return found


def _signing_key(directory: Path) -> bytes:
    path = directory / "sa.key"
    if path.exists():
        try:
            _private_key(path.read_bytes())
        except ValueError as error:
            raise PkiError(f"{path} is no private key: restore it; a new one would end every token in use") from error
        return path.read_bytes()
    key = create_signing_key()
    write_secret(path, key)
    write_secret(directory / "sa.pub", public_key(key), mode=0o644)
    return key


def _belong_together(pair: Pair) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate)
        return certificate.public_key() == _private_key(pair.key).public_key()
    except (ValueError, PkiError):
        return False


def _with_suffix(stem: Path, suffix: str) -> Path:
    return stem.parent / (stem.name + suffix)


def _read_pair(stem: Path) -> Pair | None:
    try:
        return Pair(_with_suffix(stem, ".crt").read_bytes(), _with_suffix(stem, ".key").read_bytes())
    except FileNotFoundError:
        return None


def _write_pair(stem: Path, pair: Pair) -> None:
    write_secret(_with_suffix(stem, ".key"), pair.key)
    write_secret(_with_suffix(stem, ".crt"), pair.certificate, mode=0o644)


def write_secret(path: Path, content: bytes, mode: int = 0o600) -> None:
    """On disk when this returns: a key that a crash loses would leave what it signed without an issuer."""
    replace_file(path, content, mode, durable=True)
