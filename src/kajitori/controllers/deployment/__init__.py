"""Deployment: one ReplicaSet for each revision of the template, scaled against each other while a rollout runs.

`revisions` knows which set is whose, `scaling` does the arithmetic, `status` the conditions, `controller` acts.
"""
