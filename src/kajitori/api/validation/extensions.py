"""API services, flow control, certificate requests and dynamic resources."""

from kajitori.api.field_errors import FieldError, duplicate, forbidden, invalid, required, too_long
from kajitori.api.meta import Object
from kajitori.api.validation.checks import Errors, each, must, one_of, same_as_before
from kajitori.api.validation.formats import dns_1035_errors, label_errors, subdomain_errors
from kajitori.api.validation.placement import node_selector

_PRECEDENCE_MAX = 10_000
_POOL_NAME_BYTES_MAX = 253
_QUEUES_MAX = 10_000_000


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
            yield invalid("spec.caBundle", f"{len(spec['caBundle'])} bytes", detail)
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


def validate_flow_schema(schema: Object) -> list[FieldError]:
    return list(_flow_schema(schema))


def _flow_schema(schema: Object) -> Errors:
    spec = schema.get("spec") or {}
    precedence = spec.get("matchingPrecedence", 0)
    if precedence <= 0:
        yield invalid("spec.matchingPrecedence", precedence, "must be a positive value")
    elif precedence > _PRECEDENCE_MAX:
        yield invalid("spec.matchingPrecedence", precedence, f"must not be greater than {_PRECEDENCE_MAX}")
    method = spec.get("distinguisherMethod")
    if method is not None:
        yield from one_of("spec.distinguisherMethod", method.get("type"), ("ByNamespace", "ByUser"))
    name = (spec.get("priorityLevelConfiguration") or {}).get("name") or ""
    if not name:
        yield required("spec.priorityLevelConfiguration.name", "must reference a priority level")
    else:
        yield from must("spec.priorityLevelConfiguration.name", name, subdomain_errors(name))
    for rule, at in each(spec, "rules", "spec"):
        if not rule.get("subjects"):
            yield required(f"{at}.subjects", "subjects must contain at least one value")
        for subject, subject_at in each(rule, "subjects", at):
            yield from one_of(f"{subject_at}.kind", subject.get("kind"), ("Group", "ServiceAccount", "User"))
        if not rule.get("resourceRules") and not rule.get("nonResourceRules"):
            yield required(at, "at least one of resourceRules and nonResourceRules has to be non-empty")
        for resource_rule, rule_at in each(rule, "resourceRules", at):
            for field in ("verbs", "apiGroups", "resources"):
                if not resource_rule.get(field):
                    yield required(f"{rule_at}.{field}")
            if not resource_rule.get("clusterScope") and not resource_rule.get("namespaces"):
                detail = "resource rules that are not cluster scoped must supply at least one namespace"
                yield required(f"{rule_at}.namespaces", detail)


def validate_priority_level(level: Object) -> list[FieldError]:
    return list(_priority_level(level.get("spec") or {}))


def _priority_level(spec: Object) -> Errors:
    kind, limited, exempt = spec.get("type") or "", spec.get("limited"), spec.get("exempt")
    if kind == "Exempt":
        if limited is not None:
            yield forbidden("spec.limited", "must be nil if the type is not Limited")
    elif kind == "Limited":
        if exempt is not None:
            yield forbidden("spec.exempt", "must be nil if the type is Limited")
        if limited is None:
            yield required("spec.limited", "must not be empty when type is Limited")
        else:
            yield from _limited(limited)
    else:
        yield from one_of("spec.type", kind, ("Exempt", "Limited"))


def _limited(limited: Object) -> Errors:
    shares = limited.get("nominalConcurrencyShares", 0)
    if shares < 0:
        yield invalid("spec.limited.nominalConcurrencyShares", shares, "must be a non-negative integer")
    percent = limited.get("lendablePercent")
    if percent is not None and not 0 <= percent <= 100:
        yield invalid("spec.limited.lendablePercent", percent, "must be between 0 and 100, inclusive")
    response = limited.get("limitResponse") or {}
    kind, queuing = response.get("type") or "", response.get("queuing")
    path = "spec.limited.limitResponse"
    if kind == "Reject":
        if queuing is not None:
            yield forbidden(f"{path}.queuing", "must be nil if limited.limitResponse.type is not Limited")
    elif kind == "Queue":
        if queuing is None:
            yield required(f"{path}.queuing", "must not be empty if limited.limitResponse.type is Limited")
            return
        for field in ("queueLengthLimit", "queues", "handSize"):
            if queuing.get(field, 0) <= 0:
                yield invalid(f"{path}.queuing.{field}", queuing.get(field, 0), "must be positive")
        if queuing.get("handSize", 0) > queuing.get("queues", 0):
            detail = f"should not be greater than queues ({queuing.get('queues', 0)})"
            yield invalid(f"{path}.queuing.handSize", queuing["handSize"], detail)
        if queuing.get("queues", 0) > _QUEUES_MAX:
            yield invalid(f"{path}.queuing.queues", queuing["queues"], f"must not be greater than {_QUEUES_MAX}")
    elif not kind:
        yield required(f"{path}.type")
    else:
        yield from one_of(f"{path}.type", kind, ("Queue", "Reject"))


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
    if not spec.get("usages"):
        yield required("spec.usages", "usages must be provided")
    if not spec.get("request"):
        yield invalid("spec.request", "", "PEM block type must be CERTIFICATE REQUEST")
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


def validate_resource_claim(claim: Object) -> list[FieldError]:
    return list(_claim_spec("spec", claim.get("spec") or {}))


def validate_resource_claim_template(template: Object) -> list[FieldError]:
    return list(_claim_spec("spec.spec", (template.get("spec") or {}).get("spec") or {}))


def _claim_spec(path: str, spec: Object) -> Errors:
    names: set[str] = set()
    for request, at in each(spec.get("devices") or {}, "requests", f"{path}.devices"):
        name = request.get("name") or ""
        yield from must(f"{at}.name", name, label_errors(name))
        exactly, choices = request.get("exactly"), request.get("firstAvailable")
        if exactly is not None and choices:
            yield invalid(at, request, "exactly one of `exactly` or `firstAvailable` is required, but both are set")
        elif exactly is None and not choices:
            yield required(at, "exactly one of `exactly` or `firstAvailable` is required")
        if exactly is not None:
            yield from _device_request(f"{at}.exactly", exactly)
        for asked, asked_at in each(request, "firstAvailable", at):
            yield from _device_request(asked_at, asked)
        if name and name in names:
            yield duplicate(at, name)
        names.add(name)


def _device_request(path: str, asked: Object) -> Errors:
    device_class = asked.get("deviceClassName") or ""
    if not device_class:
        yield required(f"{path}.deviceClassName")
    else:
        yield from must(f"{path}.deviceClassName", device_class, subdomain_errors(device_class))
    mode = asked.get("allocationMode") or ""
    if mode == "ExactCount":
        if asked.get("count", 0) <= 0:
            yield invalid(f"{path}.count", asked.get("count", 0), "must be greater than zero")
    elif mode == "All":
        if asked.get("count"):
            yield invalid(f"{path}.count", asked["count"], "must not be specified when allocationMode is 'All'")
    else:
        yield from one_of(f"{path}.allocationMode", mode, ("All", "ExactCount"))


def validate_resource_claim_update(new: Object, old: Object) -> list[FieldError]:
    return list(same_as_before("spec", new.get("spec"), old.get("spec")))


_PLACES = ("nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection")


def validate_resource_slice(resource_slice: Object) -> list[FieldError]:
    return list(_resource_slice(resource_slice.get("spec") or {}))


def _resource_slice(spec: Object) -> Errors:
    driver = spec.get("driver") or ""
    if not driver:
        yield required("spec.driver")
    else:
        if len(driver) > 63:
            yield too_long("spec.driver", driver, 63)
        yield from must("spec.driver", driver, subdomain_errors(driver))
    yield from _pool(spec.get("pool") or {})
    if spec.get("nodeName") == "":
        yield invalid("spec.nodeName", "", "must be either unset or set to a non-empty string")
    for flag in ("allNodes", "perDeviceNodeSelection"):
        if spec.get(flag) is False:
            yield invalid(f"spec.{flag}", False, "must be either unset or set to true")
    given = [name for name in _PLACES if spec.get(name)]
    if not given:
        listed = ", ".join(f"`{name}`" for name in _PLACES)
        yield required("spec", f"exactly one of {listed} is required")
    elif len(given) > 1:
        listed = ", ".join(f"`{name}`" for name in given)
        choices = ", ".join(f"`{name}`" for name in _PLACES)
        yield invalid("spec", "{" + listed + "}", f"exactly one of {choices} is required, but multiple fields are set")
    if spec.get("nodeName"):
        yield from must("spec.nodeName", spec["nodeName"], subdomain_errors(spec["nodeName"]))
    if spec.get("nodeSelector") is not None:
        yield from node_selector("spec.nodeSelector", spec["nodeSelector"])
    names: set[str] = set()
    for device, at in each(spec, "devices", "spec"):
        name = device.get("name") or ""
        yield from must(f"{at}.name", name, label_errors(name))
        if name in names:
            yield duplicate(at, name)
        names.add(name)


def _pool(pool: Object) -> Errors:
    name = pool.get("name") or ""
    if not name:
        yield required("spec.pool.name")
    else:
        if len(name) > _POOL_NAME_BYTES_MAX:
            yield too_long("spec.pool.name", name, _POOL_NAME_BYTES_MAX)
        for part in name.split("/"):
            yield from must("spec.pool.name", part, subdomain_errors(part))
    count = pool.get("resourceSliceCount", 0)
    if count <= 0:
        yield invalid("spec.pool.resourceSliceCount", count, "must be greater than zero")
    if pool.get("generation", 0) < 0:
        yield invalid("spec.pool.generation", pool["generation"], "must be greater than or equal to zero")
