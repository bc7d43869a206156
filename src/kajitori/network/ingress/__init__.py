"""Ingress: rules compiled into Envoy's own resources, handed over as files, served by an Envoy that outlives us."""
