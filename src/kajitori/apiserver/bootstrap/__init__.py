"""What exists from the first second: namespaces, roles, flow control, priority classes, the `kubernetes` Service."""
