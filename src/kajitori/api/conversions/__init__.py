"""Kinds that two versions serve over one stored document."""
