"""Nodes: whether they live, what taints that means, which pods must leave, which pod network each one has."""
