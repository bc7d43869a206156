"""Webhook configurations, and admission policies with their bindings."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from kajitori.api.field_errors import FieldError, duplicate, forbidden, invalid, required
from kajitori.api.meta import Object
from kajitori.api.selectors import label_key_errors
from kajitori.api.validation.checks import (
    Errors,
    each,
    label_selector,
    must,
    must_be_given,
    one_of,
    optional_one_of,
    port_number,
    unsupported,
)
from kajitori.api.validation.formats import c_identifier, dns_1035_errors, subdomain_errors

_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_SCOPES = ("*", "Cluster", "Namespaced")
_REVIEW_VERSIONS = ("v1", "v1beta1")
_CONDITIONS_MAX = 64


def validate_webhooks(configuration: Object) -> list[FieldError]:
    return list(_webhooks(configuration))


def _webhooks(configuration: Object) -> Errors:
    names: set[str] = set()
    for index, webhook in enumerate(configuration.get("webhooks") or ()):
        path, name = f"webhooks[{index}]", webhook.get("name") or ""
        yield from _webhook(path, webhook)
        if name and name in names:
            yield duplicate(f"{path}.name", name)
        names.add(name)


def _webhook(path: str, webhook: Object) -> Errors:
    name = webhook.get("name") or ""
    if not name:
        yield required(f"{path}.name")
    else:
        yield from must(f"{path}.name", name, subdomain_errors(name))
        if name.count(".") < 2:
            yield invalid(f"{path}.name", name, "should be a domain with at least three segments separated by dots")
    for rule, at in each(webhook, "rules", path):
        yield from _rule(at, rule)
    yield from optional_one_of(f"{path}.failurePolicy", webhook.get("failurePolicy"), ("Fail", "Ignore"))
    yield from optional_one_of(f"{path}.matchPolicy", webhook.get("matchPolicy"), ("Equivalent", "Exact"))
    effects = webhook.get("sideEffects")
    if effects is None:
        yield required(f"{path}.sideEffects", "must specify one of None, NoneOnDryRun")
    else:
        yield from one_of(f"{path}.sideEffects", effects, ("None", "NoneOnDryRun"))
    timeout = webhook.get("timeoutSeconds")
    if timeout is not None and not 1 <= timeout <= 30:
        yield invalid(f"{path}.timeoutSeconds", timeout, "the timeout value must be between 1 and 30 seconds")
    yield from label_selector(f"{path}.namespaceSelector", webhook.get("namespaceSelector"))
    yield from label_selector(f"{path}.objectSelector", webhook.get("objectSelector"))
    policy = webhook.get("reinvocationPolicy")
    yield from optional_one_of(f"{path}.reinvocationPolicy", policy, ("IfNeeded", "Never"))
    yield from client_config(f"{path}.clientConfig", webhook.get("clientConfig") or {})
    yield from _match_conditions(path, webhook)
    yield from _review_versions(f"{path}.admissionReviewVersions", webhook.get("admissionReviewVersions") or [])


def _review_versions(path: str, versions: list[str]) -> Errors:
    if not versions:
        yield required(path, f"must specify one of {', '.join(_REVIEW_VERSIONS)}")
        return
    seen: set[str] = set()
    for index, version in enumerate(versions):
        if version in seen:
            yield invalid(f"{path}[{index}]", version, "duplicate version")
        seen.add(version)
        yield from must(f"{path}[{index}]", version, dns_1035_errors(version))
    if not seen & set(_REVIEW_VERSIONS):
        yield invalid(path, versions, f"must include at least one of {', '.join(_REVIEW_VERSIONS)}")


def client_config(path: str, config: Object) -> Errors:
    """How a webhook is reached: by URL or by service."""
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        yield required(path, "exactly one of url or service is required")
    elif url is not None:
        yield from _url(f"{path}.url", url)
    elif service is not None:
        yield from service_reference(f"{path}.service", service, namespace_path=f"{path}.service.name")


def service_reference(path: str, service: Object, *, namespace_path: str) -> Errors:
    if not service.get("name"):
        yield required(f"{path}.name")
    if not service.get("namespace"):
        yield required(namespace_path)
    yield from _service_path(f"{path}.path", service.get("path") or "/")
    if (port := service.get("port")) is not None and not 1 <= port <= 65535:
        yield from port_number(f"{path}.port", port)


def _service_path(path: str, where: str) -> Errors:
    if where == "/":
        return
    if not where.startswith("/"):
        yield invalid(path, where, "must start with a '/'")
    for index, part in enumerate(where[1:].removesuffix("/").split("/")):
        if not part:
            yield invalid(path, where, f"segment[{index}] may not be empty")
            continue
        for problem in subdomain_errors(part):
            yield invalid(path, where, f"segment[{index}]: {problem}")


def _url(path: str, url: str) -> Errors:
    form = "desired format: https://host[/path]"
    parts = urlsplit(url)
    if parts.scheme != "https":
        shown = f"'https' is the only allowed URL scheme; {form}"
        yield invalid(path, parts.scheme, shown)
    if not parts.netloc:
        yield invalid(path, parts.netloc, f"host must be specified; {form}")
    if parts.username is not None:
        yield invalid(path, parts.username, "user information is not permitted in the URL")
    if parts.fragment:
        yield invalid(path, parts.fragment, "fragments are not permitted in the URL")
    if parts.query:
        yield invalid(path, parts.query, "query parameters are not permitted in the URL")


def _rule(path: str, rule: Object) -> Errors:
    operations = rule.get("operations") or []
    if not operations:
        yield required(f"{path}.operations")
    if len(operations) > 1 and "*" in operations:
        yield invalid(f"{path}.operations", operations, "if '*' is present, must not specify other operations")
    for index, operation in enumerate(operations):
        yield from one_of(f"{path}.operations[{index}]", operation, _OPERATIONS)
    for field in ("apiGroups", "apiVersions"):
        values = rule.get(field) or []
        if not values:
            yield required(f"{path}.{field}")
        if len(values) > 1 and "*" in values:
            kind = "groups" if field == "apiGroups" else "versions"
            yield invalid(f"{path}.{field}", values, f"if '*' is present, must not specify other API {kind}")
        if field == "apiVersions":
            for index, value in enumerate(values):
                if not value:
                    yield required(f"{path}.{field}[{index}]")
    resources = rule.get("resources") or []
    if not resources:
        yield required(f"{path}.resources")
    yield from _resources(f"{path}.resources", resources)
    yield from optional_one_of(f"{path}.scope", rule.get("scope"), _SCOPES)


def _resources(path: str, resources: Sequence[str]) -> Errors:
    every_subresource = {r.partition("/")[0] for r in resources if r.endswith("/*")}
    for index, resource in enumerate(resources):
        at = f"{path}[{index}]"
        if not resource:
            yield required(at)
        main, slash, sub = resource.partition("/")
        if slash and sub != "*" and main in every_subresource:
            detail = f"if '{main}/*' is present, must not specify {resource}"
            yield invalid(at, resource, detail)
    if len(resources) > 1 and "*/*" in resources:
        yield invalid(path, list(resources), "if '*/*' is present, must not specify other resources")


def _match_conditions(path: str, holder: Object) -> Errors:
    conditions = holder.get("matchConditions") or ()
    if len(conditions) > _CONDITIONS_MAX:
        yield FieldError("FieldValueTooMany", f"{path}.matchConditions", len(conditions), "must have at most 64 items")
    names: set[str] = set()
    for condition, at in each(holder, "matchConditions", path):
        name = condition.get("name") or ""
        if not name:
            yield required(f"{at}.name")
        else:
            yield from must(f"{at}.name", name, label_key_errors(name))
            if name in names:
                yield duplicate(f"{at}.name", name)
            names.add(name)
        if not (condition.get("expression") or "").strip():
            yield required(f"{at}.expression")


def validate_validating_policy(policy: Object) -> list[FieldError]:
    return list(_validating_policy(policy.get("spec") or {}))


def _validating_policy(spec: Object) -> Errors:
    yield from _policy_head(spec)
    if not spec.get("validations") and not spec.get("auditAnnotations"):
        detail = "validations or auditAnnotations must contain at least one item"
        yield required("spec.validations", detail)
        yield required("spec.auditAnnotations", detail)
    for validation, at in each(spec, "validations", "spec"):
        if not (validation.get("expression") or "").strip():
            yield required(f"{at}.expression", "expression is not specified")
        reason = validation.get("reason")
        allowed = ("Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized")
        yield from optional_one_of(f"{at}.reason", reason, allowed)
    for annotation, at in each(spec, "auditAnnotations", "spec"):
        yield from must_be_given(f"{at}.key", annotation.get("key"), label_key_errors)
        if not (annotation.get("valueExpression") or "").strip():
            yield required(f"{at}.valueExpression", "valueExpression is not specified")


def validate_mutating_policy(policy: Object) -> list[FieldError]:
    return list(_mutating_policy(policy.get("spec") or {}))


def _mutating_policy(spec: Object) -> Errors:
    yield from _policy_head(spec, mutating=True)
    if not spec.get("mutations"):
        yield required("spec.mutations", "mutations must contain at least one item")
    for mutation, at in each(spec, "mutations", "spec"):
        yield from _mutation(at, mutation)
    policy = spec.get("reinvocationPolicy")
    if not policy:
        yield required("spec.reinvocationPolicy")
    else:
        yield from one_of("spec.reinvocationPolicy", policy, ("IfNeeded", "Never"))


_PATCHES = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}


def _mutation(path: str, mutation: Object) -> Errors:
    kind = mutation.get("patchType") or ""
    if not kind:
        yield required(f"{path}.patchType", "must be one of ApplyConfiguration, JSONPatch")
        return
    if kind not in _PATCHES:
        yield unsupported(f"{path}.patchType", kind, tuple(_PATCHES))
        return
    field = _PATCHES[kind]
    source = mutation.get(field)
    if source is None:
        yield required(f"{path}.{field}", f"must be specified when patchType is {kind}")
    elif not (source.get("expression") or "").strip():
        yield required(f"{path}.{field}.expression", "expression is not specified")


def _policy_head(spec: Object, *, mutating: bool = False) -> Errors:
    yield from optional_one_of("spec.failurePolicy", spec.get("failurePolicy"), ("Fail", "Ignore"))
    if (param := spec.get("paramKind")) is not None:
        version = param.get("apiVersion") or ""
        if not version:
            yield required("spec.paramKind.apiVersion")
        if not param.get("kind"):
            yield required("spec.paramKind.kind")
    constraints = spec.get("matchConstraints")
    if constraints is None:
        yield required("spec.matchConstraints")
    else:
        yield from _match("spec.matchConstraints", constraints)
        if not constraints.get("resourceRules"):
            yield required("spec.matchConstraints.resourceRules")
        if mutating:
            yield from _mutable_operations(constraints)
    yield from _match_conditions("spec", spec)
    names: set[str] = set()
    for variable, at in each(spec, "variables", "spec"):
        name = variable.get("name") or ""
        if not name:
            yield required(f"{at}.name", "name is not specified")
        elif not c_identifier(name):
            yield invalid(f"{at}.name", name, "name is not a valid CEL identifier")
        elif name in names:
            yield duplicate(f"{at}.name", name)
        names.add(name)
        if not (variable.get("expression") or "").strip():
            yield required(f"{at}.expression", "expression is not specified")


def _mutable_operations(constraints: Object) -> Errors:
    for rule in constraints.get("resourceRules") or ():
        for operation in rule.get("operations") or ():
            path = "spec.matchConstraints.resourceRules.operations"
            yield from one_of(path, operation, ("*", "CONNECT", "CREATE", "UPDATE"))


def _match(path: str, match: Object) -> Errors:
    if match.get("matchPolicy") is None:
        yield required(f"{path}.matchPolicy")
    else:
        yield from one_of(f"{path}.matchPolicy", match["matchPolicy"], ("Equivalent", "Exact"))
    for field in ("namespaceSelector", "objectSelector"):
        if match.get(field) is None:
            yield required(f"{path}.{field}")
        else:
            yield from label_selector(f"{path}.{field}", match[field])
    for field in ("resourceRules", "excludeResourceRules"):
        for rule, at in each(match, field, path):
            yield from _rule(at, rule)


def validate_policy_binding(binding: Object) -> list[FieldError]:
    return list(_policy_binding(binding.get("spec") or {}, actions=True))


def validate_mutating_policy_binding(binding: Object) -> list[FieldError]:
    return list(_policy_binding(binding.get("spec") or {}, actions=False))


def _policy_binding(spec: Object, *, actions: bool) -> Errors:
    yield from must_be_given("spec.policyName", spec.get("policyName"), subdomain_errors)
    if (reference := spec.get("paramRef")) is not None:
        yield from _param_reference("spec.paramRef", reference)
    if (match := spec.get("matchResources")) is not None:
        yield from _match("spec.matchResources", match)
    if not actions:
        return
    given = spec.get("validationActions") or []
    if not given:
        yield required("spec.validationActions", "at least one validation action is required")
    for index, action in enumerate(given):
        at = f"spec.validationActions[{index}]"
        yield from one_of(at, action, ("Audit", "Deny", "Warn"))
        if action in given[:index]:
            yield duplicate(at, action)
    if "Deny" in given and "Warn" in given:
        detail = (
            "must not contain both Deny and Warn (repeating the same validation failure information in the API "
            "response and headers serves no purpose)"
        )
        yield invalid("spec.validationActions", given, detail)


def _param_reference(path: str, reference: Object) -> Errors:
    name, selector = reference.get("name") or "", reference.get("selector")
    if name and selector is not None:
        yield forbidden(f"{path}.name", "name and selector are mutually exclusive")
    elif not name and selector is None:
        yield required(path, "one of name or selector must be specified")
    action = reference.get("parameterNotFoundAction")
    if action is None:
        yield required(f"{path}.parameterNotFoundAction")
    else:
        yield from one_of(f"{path}.parameterNotFoundAction", action, ("Allow", "Deny"))
