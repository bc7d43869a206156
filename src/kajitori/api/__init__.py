"""Resources, schema, defaults, validation, patch, selectors, Status: what Kubernetes' API means, without any I/O."""
