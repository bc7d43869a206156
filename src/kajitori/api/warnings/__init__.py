"""What is accepted, but not as it should be: texts for the Warning headers of an answer (KEP-1693).

A kind's `warnings(new, old)` is asked after validation; `old` is None for a new object. The rules are upstream's:
`placement` (labels of nodes), `addresses`, `pod_specs`, `workloads`, `networks`, `volumes`, `extensions`.
"""
