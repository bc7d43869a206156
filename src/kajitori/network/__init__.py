"""What a node does to packets: pod routes, CNI, Services in nftables, cluster DNS, Ingress on Envoy."""
