"""API services and certificate requests."""

import base64

from kajitori.api.field_errors import FieldError, duplicate, invalid, required
from kajitori.api.meta import Object
from kajitori.api.validation.checks import Errors, must, one_of, same_as_before
from kajitori.api.validation.formats import dns_1035_errors, subdomain_errors


def validate_api_service(service: Object) -> list[FieldError]:
    return list(_api_service(service))


def _api_service(service: Object) -> Errors:
    spec, name = service.get("spec") or {}, service["metadata"].get("name") or ""
    group, version = spec.get("group") or "", spec.get("version") or ""
    wanted = f"{version}.{group}" if group else f"{version}."
    if name and name != wanted:
        yield invalid("metadata.name", name, f'must be `spec.version+"."+spec.group`: "{wanted}"')
    if group:
        yield from must("spec.group", group, subdomain_errors(group))
    elif version != "v1":
        yield required("spec.group", "only v1 may have an empty group and it better be legacy kube")
    yield from must("spec.version", version, dns_1035_errors(version))
    priority = spec.get("groupPriorityMinimum", 0)
    if not 0 < priority <= 20_000:
        yield invalid("spec.groupPriorityMinimum", priority, "must be positive and less than 20000")
    priority = spec.get("versionPriority", 0)
    if not 0 < priority <= 1000:
        yield invalid("spec.versionPriority", priority, "must be positive and less than 1000")
    reference = spec.get("service")
    if reference is None:
        if spec.get("caBundle"):
            detail = "local APIServices may not have a caBundle"
            yield invalid("spec.caBundle", f"{len(base64.b64decode(spec['caBundle']))} bytes", detail)
        if spec.get("insecureSkipTLSVerify"):
            detail = "local APIServices may not have insecureSkipTLSVerify"
            yield invalid("spec.insecureSkipTLSVerify", True, detail)
        return
    if not reference.get("namespace"):
        yield required("spec.service.namespace")
    if not reference.get("name"):
        yield required("spec.service.name")
    if not 1 <= reference.get("port", 443) <= 65535:
        detail = "port is not valid: must be between 1 and 65535, inclusive"
        yield invalid("spec.service.port", reference["port"], detail)
    if spec.get("insecureSkipTLSVerify") and spec.get("caBundle"):
        detail = "may not be true if caBundle is present"
        yield invalid("spec.insecureSkipTLSVerify", True, detail)


_USAGES = {
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
}
_EXPIRATION_SECONDS_MIN = 600


def validate_signing_request(request: Object) -> list[FieldError]:
    return list(_signing_request(request.get("spec") or {}))


def _signing_request(spec: Object) -> Errors:
    if not spec.get("request"):
        yield invalid("spec.request", None, "PEM block type must be CERTIFICATE REQUEST")
    if not spec.get("usages"):
        yield required("spec.usages")
    seen: set[str] = set()
    for index, usage in enumerate(spec.get("usages") or ()):
        if usage not in _USAGES:
            yield from one_of(f"spec.usages[{index}]", usage, tuple(sorted(_USAGES)))
        if usage in seen:
            yield duplicate(f"spec.usages[{index}]", usage)
        seen.add(usage)
    signer = spec.get("signerName") or ""
    if not signer:
        yield required("spec.signerName")
    elif signer == "kubernetes.io/legacy-unknown":
        yield invalid("spec.signerName", signer, "the legacy signerName is not allowed via this API version")
    else:
        domain, slash, path = signer.partition("/")
        if not slash or not path:
            detail = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
            yield invalid("spec.signerName", signer, detail)
        else:
            yield from must("spec.signerName", signer, subdomain_errors(domain))
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < _EXPIRATION_SECONDS_MIN:
        detail = "may not specify a duration less than 600 seconds (10 minutes)"
        yield invalid("spec.expirationSeconds", seconds, detail)


def validate_signing_request_update(new: Object, old: Object) -> list[FieldError]:
    return list(same_as_before("spec", new.get("spec"), old.get("spec")))
