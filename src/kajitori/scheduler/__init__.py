"""Decides which node each pod runs on: `(cluster, pod, random) -> decision` for all nodes at once, in arrays."""
