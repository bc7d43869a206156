"""What makes an object of a built-in kind wrong, beyond its shape: one module for each family of kinds.

Functions are generators of FieldErrors in the order in which upstream reports them; names, messages and causes follow
v1.36. Metadata is not checked here but by the API server, for all kinds alike; `names` says what each may be called.
"""
