"""ID tokens of OpenID Connect issuers, as flags or an AuthenticationConfiguration describe them (KEP-3331)."""
