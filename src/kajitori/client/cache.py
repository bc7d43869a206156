"""A copy of some resources in memory, kept current by list and watch (an informer), that reconcilers read from.

`Cache.informer(resource)` declares interest, `start` runs them all, `synced` waits until every one has listed once.
"""
