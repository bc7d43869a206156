"""The columns of server-side tables, as `kubectl get` prints them: one module for each family of kinds."""
