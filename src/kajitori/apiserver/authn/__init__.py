"""Who is asking: client certificates, service account tokens, static and bootstrap tokens, anonymous."""
