"""/metrics of the node: what its agent does and takes, under upstream's names."""

import resource
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from kajitori.kubelet.config import KubeletConfig
from kajitori.kubelet.pod_worker import PodWorker
from kajitori.kubelet.server.stats import exposed

_METRICS = {
    "kubernetes_build_info": ("gauge", "[BETA] Always 1; the labels say which version runs."),
    "kubelet_node_name": ("gauge", "[ALPHA] Always 1; the label names the node."),
    "kubelet_running_pods": ("gauge", "[BETA] Pods that have a running sandbox"),
    "kubelet_running_containers": ("gauge", "[BETA] Containers by their state"),
    "kubelet_active_pods": ("gauge", "[BETA] Pods that are bound to this node and not finished"),
    "process_cpu_seconds_total": ("counter", "Processor time of the agent, user and system"),
    "process_resident_memory_bytes": ("gauge", "Memory in use by the agent"),
    "process_open_fds": ("gauge", "Open file descriptors of the agent"),
    "process_max_fds": ("gauge", "How many file descriptors may be open"),
}


def agent_metrics(config: KubeletConfig, workers: Iterable[PodWorker]) -> str:
    pods = [worker.state for worker in workers]
    states = Counter(runs[0].state.name.lower() for pod in pods for runs in pod.containers.values() if runs)
    used = resource.getrusage(resource.RUSAGE_SELF)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    samples = {
        "kubernetes_build_info": [f'kubernetes_build_info{{git_version="{config.version}",platform="linux"}} 1'],
        "kubelet_node_name": [f'kubelet_node_name{{node="{config.node_name}"}} 1'],
        "kubelet_running_pods": [f"kubelet_running_pods {sum(pod.sandbox is not None for pod in pods)}"],
        "kubelet_running_containers": [
            f'kubelet_running_containers{{container_state="{state}"}} {number}'
            for state, number in sorted(states.items())
        ],
        "kubelet_active_pods": [f'kubelet_active_pods{{static="false"}} {len(pods)}'],
        "process_cpu_seconds_total": [f"process_cpu_seconds_total {used.ru_utime + used.ru_stime:.2f}"],
        "process_resident_memory_bytes": [f"process_resident_memory_bytes {pages * resource.getpagesize()}"],
        "process_open_fds": [f"process_open_fds {sum(1 for _ in Path('/proc/self/fd').iterdir())}"],
        "process_max_fds": [f"process_max_fds {resource.getrlimit(resource.RLIMIT_NOFILE)[0]}"],
    }
    return exposed(_METRICS, samples)
