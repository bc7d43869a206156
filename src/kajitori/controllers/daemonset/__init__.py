"""DaemonSet: one pod on every node that fits. `placement` says which do, `plan` decides, `controller` acts."""
