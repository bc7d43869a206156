"""API services."""

import base64

from kajitori.api.field_errors import FieldError, invalid, required
from kajitori.api.meta import Object
from kajitori.api.validation.checks import Errors, must
from kajitori.api.validation.formats import dns_1035_errors, path_segment_errors, subdomain_errors


def validate_api_service(service: Object) -> list[FieldError]:
    return list(_api_service(service))


def _api_service(service: Object) -> Errors:
    spec, name = service.get("spec") or {}, service["metadata"].get("name") or ""
    group, version = spec.get("group") or "", spec.get("version") or ""
    wanted = f"{version}.{group}" if group else f"{version}."
    if name and name != wanted and not path_segment_errors(name):
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
