"""Cipher suites by the names that upstream's --tls-cipher-suites takes (IANA's), and by OpenSSL's."""

from collections.abc import Sequence

_TLS13 = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
_BULK = {
    "AES_128_CBC_SHA": "AES128-SHA",
    "AES_128_CBC_SHA256": "AES128-SHA256",
    "AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "AES_256_CBC_SHA": "AES256-SHA",
    "AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "CHACHA20_POLY1305": "CHACHA20-POLY1305",
    "CHACHA20_POLY1305_SHA256": "CHACHA20-POLY1305",
}
_OPENSSL = {
    **{f"TLS_ECDHE_ECDSA_WITH_{iana}": f"ECDHE-ECDSA-{name}" for iana, name in _BULK.items()},
    **{f"TLS_ECDHE_RSA_WITH_{iana}": f"ECDHE-RSA-{name}" for iana, name in _BULK.items()},
    **{f"TLS_RSA_WITH_{iana}": name for iana, name in _BULK.items() if not iana.startswith("CHACHA20")},
}


def openssl_names(suites: Sequence[str]) -> list[str]:
    """Those for TLS 1.2: the three of TLS 1.3 are always on. Raises ValueError for an unknown one."""
    for suite in suites:
        if suite not in _TLS13 and suite not in _OPENSSL:
            raise ValueError(f"unknown cipher suite {suite}; known are {', '.join((*_TLS13, *_OPENSSL))}")
    return [_OPENSSL[suite] for suite in suites if suite in _OPENSSL]
