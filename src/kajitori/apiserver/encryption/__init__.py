"""Encryption at rest: what an EncryptionConfiguration names is stored in upstream's format `k8s:enc:...`."""
