"""The verbs, the same for every kind: create, read, watch, update, patch, delete, scale, status."""
