"""From a client through this server to a kubelet, a pod or a service: logs, exec, attach, port-forward, proxies."""
