"""Garbage collection by owner reference (background, foreground, orphan): `graph` decides, `collector` acts."""
