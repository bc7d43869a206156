"""etcd's semantics over memory, SQLite or etcd itself. Knows bytes and revisions, nothing of Kubernetes."""
