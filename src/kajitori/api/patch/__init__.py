"""The four ways to patch an object: JSON patch, merge patch, strategic merge patch, server-side apply.

Nothing here changes the objects it is given; every `apply` returns a new one.
"""
