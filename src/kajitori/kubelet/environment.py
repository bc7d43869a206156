"""The environment of a container: services, then `envFrom`, then `env`, each able to refer to what came before."""

import re
from collections.abc import Callable, Iterable, Mapping

from kajitori.api.meta import Object, name_of, namespace_of
from kajitori.kubelet.env_files import value_in
from kajitori.kubelet.expansion import expand
from kajitori.kubelet.secrets_text import decode_secret

Lookup = Callable[[str, str], Object | None]
"""Kind ("ConfigMap" or "Secret") and name, in the pod's namespace."""


class ConfigProblem(Exception):
    """The container's configuration cannot be made; shown as CreateContainerConfigError."""


def service_variables(services: Iterable[Object], namespace: str, *, links: bool) -> dict[str, str]:
    """Docker-link-style variables; without `links` only those of the API's own Service."""
    found: dict[str, str] = {}
    for service in sorted(services, key=lambda s: (namespace_of(s), name_of(s))):
        spec = service["spec"]
        ip = spec.get("clusterIP")
        is_api = (namespace_of(service), name_of(service)) == ("default", "kubernetes")
        if not ip or ip == "None" or spec.get("type") == "ExternalName":
            continue
        if is_api or (links and namespace_of(service) == namespace):
            found |= _of_service(name_of(service), ip, spec.get("ports") or [])
    return found


def _variable(name: str) -> str:
    return name.upper().replace("-", "_")


def _of_service(name: str, ip: str, ports: list[Object]) -> dict[str, str]:
    if not ports:
        return {}
    prefix = _variable(name)
    first = ports[0]
    host = f"[{ip}]" if ":" in ip else ip
    found = {f"{prefix}_SERVICE_HOST": ip, f"{prefix}_SERVICE_PORT": str(first["port"])}
    for port in ports:
        if port.get("name"):
            found[f"{prefix}_SERVICE_PORT_{_variable(port['name'])}"] = str(port["port"])
    found[f"{prefix}_PORT"] = f"{_scheme(first)}://{host}:{first['port']}"
    for port in ports:
        stem = f"{prefix}_PORT_{port['port']}_{_scheme(port).upper()}"
        found |= {
            stem: f"{_scheme(port)}://{host}:{port['port']}",
            f"{stem}_PROTO": _scheme(port),
            f"{stem}_PORT": str(port["port"]),
            f"{stem}_ADDR": ip,
        }
    return found


def _scheme(port: Object) -> str:
    return str(port.get("protocol") or "TCP").lower()


def container_environment(
    container: Object,
    *,
    services: Mapping[str, str],
    lookup: Lookup,
    field: Callable[[str], str],
    resource: Callable[[Object], str],
    file: Callable[[Object], str],
    namespace: str,
) -> dict[str, str]:
    """Raises ConfigProblem for a missing object or key that is not optional."""
    found: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        found |= _from_source(source, lookup)
    for variable in container.get("env") or ():
        name = variable["name"]
        origin = variable.get("valueFrom")
        if origin is None:
            found[name] = expand(variable.get("value") or "", {**services, **found})
            continue
        if (reference := origin.get("fileKeyRef")) is not None:
            value = _from_file(reference, file)
        else:
            value = _from_origin(origin, lookup, field, resource, namespace)
        if value is not None:
            found[name] = value
    return {**{name: value for name, value in services.items() if name not in found}, **found}


def _from_source(source: Object, lookup: Lookup) -> dict[str, str]:
    prefix = source.get("prefix") or ""
    for key, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
        reference = source.get(key)
        if reference is None:
            continue
        obj = lookup(kind, reference["name"])
        if obj is None:
            if reference.get("optional"):
                return {}
            raise ConfigProblem(f'{kind.lower()} "{reference["name"]}" not found')
        data = obj.get("data") or {}
        texts = data if kind == "ConfigMap" else {k: decode_secret(v).decode(errors="replace") for k, v in data.items()}
        return {prefix + k: v for k, v in texts.items() if is_environment_name(prefix + k)}
    return {}


def is_environment_name(name: str) -> bool:
    """Printable ASCII without `=`, as the API allows since 1.34."""
    return bool(re.fullmatch(r"[ -<>-~]+", name))


def _from_origin(
    origin: Object,
    lookup: Lookup,
    field: Callable[[str], str],
    resource: Callable[[Object], str],
    namespace: str,
) -> str | None:
    if reference := origin.get("fieldRef"):
        return field(reference["fieldPath"])
    if reference := origin.get("resourceFieldRef"):
        return resource(reference)
    for key, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
        if reference := origin.get(key):
            return _key_of(lookup(kind, reference["name"]), reference, kind, namespace)
    raise ConfigProblem(f"an environment variable has a source that this node does not know: {', '.join(origin)}")


def _from_file(reference: Object, file: Callable[[Object], str]) -> str | None:
    try:
        value = value_in(file(reference), reference["key"])
    except (OSError, ValueError) as error:
        raise ConfigProblem("couldn't parse env file") from error
    if value:
        return value
    if reference.get("optional"):
        return None
    raise ConfigProblem(f'environment variable key "{reference["key"]}" not found in file "{reference["path"]}"')


def _key_of(obj: Object | None, reference: Object, kind: str, namespace: str) -> str | None:
    name, key = reference["name"], reference["key"]
    if obj is None:
        if reference.get("optional"):
            return None
        raise ConfigProblem(f'{kind.lower()} "{name}" not found')
    value = (obj.get("data") or {}).get(key)
    if value is None:
        if reference.get("optional"):
            return None
        raise ConfigProblem(f"couldn't find key {key} in {kind} {namespace}/{name}")
    return str(value) if kind == "ConfigMap" else decode_secret(value).decode(errors="replace")
