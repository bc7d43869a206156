"""/etc/hosts of a pod's containers."""

from kajitori.api.meta import Object

_LOCAL = """127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""


def hosts_text(pod: Object, ips: tuple[str, ...], hostname: str, domain: str, host_file: str) -> str:
    """`host_file` is what the node's own /etc/hosts says, for pods on the node's network."""
    if pod["spec"].get("hostNetwork"):
        text = "# Kubernetes-managed hosts file (host network).\n" + host_file
    else:
        text = "# Kubernetes-managed hosts file.\n" + _LOCAL
        names = f"{hostname}.{domain}\t{hostname}" if domain else hostname
        text += "".join(f"{ip}\t{names}\n" for ip in ips)
    aliases = pod["spec"].get("hostAliases") or ()
    if aliases:
        text += "\n# Entries added by HostAliases.\n"
        text += "".join(f"{alias['ip']}\t" + "\t".join(alias.get("hostnames") or ()) + "\n" for alias in aliases)
    return text


def pod_hostname(pod: Object, cluster_domain: str) -> tuple[str, str]:
    """Host name (at most 63 characters) and the domain it is in, "" when the pod has no subdomain."""
    spec = pod["spec"]
    if override := spec.get("hostnameOverride"):
        return override, ""
    hostname = (spec.get("hostname") or pod["metadata"]["name"])[:63].rstrip("-.")
    subdomain = spec.get("subdomain")
    domain = f"{subdomain}.{pod['metadata']['namespace']}.svc.{cluster_domain}" if subdomain else ""
    return hostname, domain


def kernel_hostname(pod: Object, cluster_domain: str) -> str:
    """What the sandbox's UTS namespace is called."""
    hostname, domain = pod_hostname(pod, cluster_domain)
    return f"{hostname}.{domain}"[:64] if domain and pod["spec"].get("setHostnameAsFQDN") else hostname
