"""API servers behind this one: APIServices, requests handed on to them, and their documents among our own."""
