"""Simulated nodes: kubelets without a container runtime, for tests of what is above them and for scale."""
