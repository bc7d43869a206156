"""Fakes and fixtures, for this project and for its users."""
