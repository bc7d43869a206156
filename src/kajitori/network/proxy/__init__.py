"""Services in nftables: what kube-proxy does, as a pure compiler and a shell that applies the difference."""
