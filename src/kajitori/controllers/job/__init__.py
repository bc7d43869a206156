"""Job: pods that run to completion, counted exactly once.

Pods carry a finalizer until they are counted (KEP-2307): first their uids enter `status.uncountedTerminatedPods`, then
the finalizer goes, then the counter moves. A crash between any two steps loses and doubles nothing. `plan` decides.
"""
