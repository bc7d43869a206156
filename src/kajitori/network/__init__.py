"""Pod network, Services, cluster DNS and Ingress of one node."""
