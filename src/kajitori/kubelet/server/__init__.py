"""The node's own HTTPS API (port 10250): logs, exec, attach, port-forward, stats; for the API server alone."""
