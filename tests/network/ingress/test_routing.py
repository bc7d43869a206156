from typing import Any

from kajitori.network.ingress.routing import Backend, Rule, class_names, is_ours, route

WEB, API = Backend("shop", "web", "80"), Backend("shop", "api", "http")


def service(name: str, port: Any) -> dict[str, Any]:
    return {"service": {"name": name, "port": {"name": port} if isinstance(port, str) else {"number": port}}}


def ingress(*paths: tuple[str, str, dict[str, Any]], host: str = "shop.test", **more: Any) -> dict[str, Any]:
    entries = [{"path": path, "pathType": kind, "backend": backend} for path, kind, backend in paths]
    rule = {"http": {"paths": entries}} | ({"host": host} if host else {})
    meta = {
        "namespace": "shop",
        "name": more.pop("name", "a"),
        "creationTimestamp": more.pop("created", "2026-01-01T00:00:00Z"),
    }
    return {"metadata": meta, "spec": {"rules": [rule], **more}}


def test_longer_paths_come_first_and_exact_before_prefix() -> None:
    rules = route(
        [
            ingress(
                ("/", "Prefix", service("web", 80)),
                ("/api/", "Prefix", service("api", "http")),
                ("/api", "Exact", service("web", 80)),
                ("/api/v1", "ImplementationSpecific", service("api", "http")),
            )
        ]
    ).rules
    assert rules == (
        Rule("shop.test", "/api/v1", False, API),
        Rule("shop.test", "/api", True, WEB),
        Rule("shop.test", "/api", False, API),
        Rule("shop.test", "/", False, WEB),
    )


def test_the_older_ingress_wins_between_equals() -> None:
    young = ingress(("/", "Prefix", service("api", "http")), name="a", created="2026-02-01T00:00:00Z")
    old = ingress(("/", "Prefix", service("web", 80)), name="b", created="2026-01-01T00:00:00Z")
    assert [rule.backend for rule in route([young, old]).rules] == [WEB]


def test_rules_without_a_host_apply_to_every_host_after_its_own() -> None:
    everywhere = ingress(("/health", "Exact", service("web", 80)), host="", name="b")
    routing = route([ingress(("/", "Prefix", service("api", "http"))), everywhere])
    assert [(r.host, r.path) for r in routing.rules_of("shop.test")] == [("shop.test", "/"), ("", "/health")]
    assert [(r.host, r.path) for r in routing.rules_of("")] == [("", "/health")]


def test_the_default_backend_and_certificates_are_read() -> None:
    tls = [{"hosts": ["Shop.test"], "secretName": "cert"}, {"hosts": ["plain.test"]}, {"secretName": "any"}]
    routing = route([ingress(defaultBackend=service("web", 80), tls=tls)])
    assert routing.default == WEB
    assert [(entry.hosts, entry.secret) for entry in routing.tls] == [(("shop.test",), "cert"), (("",), "any")]


def test_a_backend_that_is_no_service_is_kept_as_unservable() -> None:
    bucket = {"resource": {"kind": "Bucket", "name": "b"}}
    assert [rule.backend for rule in route([ingress(("/", "Prefix", bucket))]).rules] == [None]


def test_only_ingresses_of_our_classes_are_ours() -> None:
    classes = class_names(
        [
            {"metadata": {"name": "kajitori"}, "spec": {"controller": "kajitori.io/ingress"}},
            {"metadata": {"name": "nginx"}, "spec": {"controller": "k8s.io/ingress-nginx"}},
        ]
    )
    legacy = {"metadata": {"annotations": {"kubernetes.io/ingress.class": "kajitori"}}, "spec": {}}
    assert is_ours({"metadata": {}, "spec": {"ingressClassName": "kajitori"}}, classes)
    assert is_ours(legacy, classes)
    assert not is_ours({"metadata": {}, "spec": {"ingressClassName": "nginx"}}, classes)
    assert not is_ours({"metadata": {}, "spec": {}}, classes)
