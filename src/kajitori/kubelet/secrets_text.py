"""A Secret's values travel as base64."""

import base64


def decode_secret(value: str) -> bytes:
    return base64.b64decode(value)
