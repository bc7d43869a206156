"""Composition root: configuration, wiring, supervised processes."""
