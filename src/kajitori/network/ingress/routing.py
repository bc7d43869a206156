"""Which request goes to which Service port, by the rules of networking.k8s.io/v1 Ingress.

An exact host wins over a wildcard, a longer path over a shorter, Exact over Prefix; between equals, the older Ingress.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kajitori.api.meta import Object, annotations_of, key_of, namespace_of

CONTROLLER = "kajitori.io/ingress"
LEGACY_CLASS = "kubernetes.io/ingress.class"


@dataclass(frozen=True, slots=True, order=True)
class Backend:
    """A port of a Service, by number or by name."""

    namespace: str
    service: str
    port: str


@dataclass(frozen=True, slots=True)
class Rule:
    """`host` is "" for any; a `backend` of None is one that we cannot serve (a resource instead of a Service)."""

    host: str
    path: str
    exact: bool
    backend: Backend | None


@dataclass(frozen=True, slots=True)
class TlsEntry:
    """Hosts ("" for any) that the certificate in a Secret is for."""

    hosts: tuple[str, ...]
    namespace: str
    secret: str


@dataclass(frozen=True, slots=True)
class Routing:
    """What all Ingresses together say, rules in the order in which they are to be tried."""

    rules: tuple[Rule, ...]
    default: Backend | None
    tls: tuple[TlsEntry, ...]

    def hosts(self) -> list[str]:
        return sorted({rule.host for rule in self.rules if rule.host})

    def rules_of(self, host: str) -> list[Rule]:
        """What applies to a host: its own rules, then those for every host."""
        own = [rule for rule in self.rules if rule.host == host]
        return own if not host else own + [rule for rule in self.rules if not rule.host]


def class_names(classes: Iterable[Object]) -> frozenset[str]:
    """The IngressClasses that are ours."""
    return frozenset(c["metadata"]["name"] for c in classes if (c.get("spec") or {}).get("controller") == CONTROLLER)


def is_ours(ingress: Object, classes: frozenset[str]) -> bool:
    """Admission has filled in the default class; an Ingress without one is nobody's."""
    name = (ingress.get("spec") or {}).get("ingressClassName") or annotations_of(ingress).get(LEGACY_CLASS)
    return name in classes


def route(ingresses: Iterable[Object]) -> Routing:
    ordered = sorted(ingresses, key=lambda i: (i["metadata"].get("creationTimestamp") or "", key_of(i)))
    rules: list[Rule] = []
    defaults: list[Backend] = []
    tls: list[TlsEntry] = []
    for ingress in ordered:
        namespace, spec = namespace_of(ingress), ingress.get("spec") or {}
        default = backend_of(spec.get("defaultBackend"), namespace)
        if default:
            defaults.append(default)
        for entry in spec.get("rules") or ():
            rules += _rules(entry, namespace)
        for entry in spec.get("tls") or ():
            if entry.get("secretName"):
                hosts = tuple(host.lower() for host in entry.get("hosts") or ()) or ("",)
                tls.append(TlsEntry(hosts, namespace, entry["secretName"]))
    return Routing(tuple(_in_order(rules)), defaults[0] if defaults else None, tuple(tls))


def _rules(entry: dict[str, Any], namespace: str) -> Iterable[Rule]:
    host = (entry.get("host") or "").lower()
    for path in (entry.get("http") or {}).get("paths") or ():
        exact = path.get("pathType") == "Exact"
        text = path.get("path") or "/"
        yield Rule(host, text if exact else _without_slash(text), exact, backend_of(path.get("backend"), namespace))


def _without_slash(path: str) -> str:
    """Prefix paths are compared element by element, so that a slash at the end says nothing."""
    return path.rstrip("/") or "/"


def _in_order(rules: Sequence[Rule]) -> list[Rule]:
    """Longest first; a rule that another one hides completely is left out. Sorting is stable, so age decides ties."""
    found: dict[tuple[str, str, bool], Rule] = {}
    for rule in sorted(rules, key=lambda r: (-len(r.path), not r.exact)):
        found.setdefault((rule.host, rule.path, rule.exact), rule)
    return list(found.values())


def backend_of(document: dict[str, Any] | None, namespace: str) -> Backend | None:
    service = (document or {}).get("service")
    if not service:
        return None
    port = service.get("port") or {}
    return Backend(namespace, service["name"], port.get("name") or str(port.get("number", "")))
