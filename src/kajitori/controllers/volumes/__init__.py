"""PersistentVolumes and claims: matching and binding, release and reclaim, protection in use, local-path."""
