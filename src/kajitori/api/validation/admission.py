"""Webhook configurations, and what they share with admission policies: rules and match conditions."""

from collections.abc import Sequence

from kajitori.api import urls
from kajitori.api.field_errors import FieldError, duplicate, invalid, required
from kajitori.api.meta import Object
from kajitori.api.selectors import label_key_errors
from kajitori.api.validation.checks import (
    Errors,
    each,
    label_selector,
    must,
    one_of,
    optional_one_of,
)
from kajitori.api.validation.formats import PORT_RANGE, dns_1035_errors, subdomain_errors

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
        problems = subdomain_errors(name)
        yield from must(f"{path}.name", name, problems)
        if not problems and name.count(".") < 2:
            yield invalid(f"{path}.name", name, "should be a domain with at least three segments separated by dots")
    for rule, at in each(webhook, "rules", path):
        yield from rule_errors(at, rule)
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
    yield from match_conditions(path, webhook)
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
        yield from _service_reference(f"{path}.service", service)


def _service_reference(path: str, service: Object) -> Errors:
    # Upstream mixes the two up, and clients read the paths of causes.
    if not service.get("namespace"):
        yield required(f"{path}.name")
    if not service.get("name"):
        yield required(f"{path}.namespace")
    if (port := service.get("port")) is not None and not 1 <= port <= 65535:
        yield invalid(f"{path}.port", port, f"port is not valid: {PORT_RANGE}")
    yield from _service_path(f"{path}.path", service.get("path") or "/")


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


def _url(path: str, text: str) -> Errors:
    form = "desired format: https://host[/path]"
    try:
        url = urls.parse(text)
    except urls.BadUrl as error:
        yield required(path, f"url must be a valid URL: {error}; {form}")
        return
    if url.scheme != "https":
        shown = f"'https' is the only allowed URL scheme; {form}"
        yield invalid(path, url.scheme, shown)
    if not url.host:
        yield invalid(path, url.host, f"host must be specified; {form}")
    if url.user is not None:
        yield invalid(path, url.user, "user information is not permitted in the URL")
    if url.fragment:
        yield invalid(path, url.fragment, "fragments are not permitted in the URL")
    if url.query:
        yield invalid(path, url.query, "query parameters are not permitted in the URL")


def rule_errors(path: str, rule: Object) -> Errors:
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
    """A wildcard rules out only what comes after it, except in the sentences about the whole list; of the resources
    without a subresource, only the last says whether `*` is there in vain."""
    with_any_subresource: set[str] = set()
    of_any_resource: set[str] = set()
    last_main = ""
    for index, resource in enumerate(resources):
        at = f"{path}[{index}]"
        if not resource:
            yield required(at)
            continue
        main, slash, sub = resource.partition("/")
        if not slash:
            last_main = resource
            continue
        for present, wildcard in ((main in with_any_subresource, f"{main}/*"), (sub in of_any_resource, f"*/{sub}")):
            if present:
                yield invalid(at, resource, f"if '{wildcard}' is present, must not specify {resource}")
        if sub == "*":
            with_any_subresource.add(main)
        if main == "*":
            of_any_resource.add(sub)
    if len(resources) > 1 and "*/*" in resources:
        yield invalid(path, list(resources), "if '*/*' is present, must not specify other resources")
    if "*" in resources and last_main not in ("", "*"):
        detail = "if '*' is present, must not specify other resources without subresources"
        yield invalid(path, list(resources), detail)


def match_conditions(path: str, holder: Object, *, params: bool = False) -> Errors:
    conditions = holder.get("matchConditions") or ()
    if len(conditions) > _CONDITIONS_MAX:
        yield FieldError("FieldValueTooMany", f"{path}.matchConditions", len(conditions), "must have at most 64 items")
    names: set[str] = set()
    for condition, at in each(holder, "matchConditions", path):
        source = (condition.get("expression") or "").strip()
        if not source:
            yield required(f"{at}.expression")
        else:
            from kajitori.api.validation.expressions import condition_errors

            yield from condition_errors(f"{at}.expression", source, params=params)
        name = condition.get("name") or ""
        if not name:
            yield required(f"{at}.name")
            continue
        yield from must(f"{at}.name", name, label_key_errors(name))
        if name in names:
            yield duplicate(f"{at}.name", name)
        names.add(name)
