"""The functions that expressions may call: CEL's own, its extensions that Kubernetes has, and those of Kubernetes."""
