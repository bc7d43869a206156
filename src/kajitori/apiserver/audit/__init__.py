"""The audit log: who asked for what, when, and what came of it, as a policy (audit.k8s.io/v1) says."""
