"""Containers without a registry: OCI archives built from Debian packages and files, loaded into the nodes."""
