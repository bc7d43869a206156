"""Protobuf bodies, which Go clients (kubectl among them) send for built-in kinds: read, never written.

Every such client also accepts JSON, so answers stay JSON. The field numbers are those of upstream's v1.36
`generated.proto` files; the types of the fields follow from the OpenAPI definitions.
"""

from kajitori.api.protobuf.decoding import decode_protobuf

__all__ = ["decode_protobuf"]
