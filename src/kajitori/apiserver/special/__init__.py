"""Endpoints and writes that are more than storage: addresses, bindings, evictions, tokens, custom resources."""
