"""What the API server fills in: one module for each family of kinds.

A function `default_x(obj)` fills what the user left out; a function `prepare_x(obj)` resets what a client may not set
when it creates (status first of all). Both change the object in place. Values follow the API reference of v1.36.
"""
