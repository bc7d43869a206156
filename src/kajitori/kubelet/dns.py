"""A pod's resolver settings, by its dnsPolicy (API reference: Pod, dnsPolicy and dnsConfig)."""

from collections.abc import Sequence

from kajitori.api.meta import Object, namespace_of
from kajitori.kubelet.runtime import DnsConfig

SEARCHES_MAX = 32


def parse_resolv_conf(text: str) -> DnsConfig:
    servers: list[str] = []
    searches: list[str] = []
    options: list[str] = []
    for line in text.splitlines():
        words = line.split("#", 1)[0].split(";", 1)[0].split()
        if len(words) < 2:
            continue
        match words[0]:
            case "nameserver":
                servers.append(words[1])
            case "search" | "domain":
                searches = [word for word in words[1:] if word != "."]
            case "options":
                options = words[1:]
    return DnsConfig(tuple(servers), tuple(searches), tuple(options))


def pod_dns(pod: Object, host: DnsConfig, cluster_dns: Sequence[str], cluster_domain: str) -> DnsConfig:
    spec = pod["spec"]
    policy = spec.get("dnsPolicy") or "ClusterFirst"
    if policy == "ClusterFirst" and spec.get("hostNetwork"):
        policy = "Default"
    if policy in ("ClusterFirst", "ClusterFirstWithHostNet") and cluster_dns:
        suffixes = (f"{namespace_of(pod)}.svc.{cluster_domain}", f"svc.{cluster_domain}", cluster_domain)
        base = DnsConfig(tuple(cluster_dns), _unique((*suffixes, *host.searches)), ("ndots:5",))
    elif policy == "None":
        base = DnsConfig()
    else:
        base = host
    return _merge(base, spec.get("dnsConfig") or {})


def _merge(base: DnsConfig, extra: Object) -> DnsConfig:
    options = {option.partition(":")[0]: option for option in base.options}
    for option in extra.get("options") or ():
        value = option.get("value")
        options[option["name"]] = f"{option['name']}:{value}" if value else option["name"]
    return DnsConfig(
        _unique((*base.servers, *(extra.get("nameservers") or ()))),
        _unique((*base.searches, *(extra.get("searches") or ())))[:SEARCHES_MAX],
        tuple(options.values()),
    )


def _unique(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))
