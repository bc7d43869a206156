"""Priority and fairness: which level a request belongs to, whether it may run now, and who is next when it may not.

`matching` classifies, `limits` divides the server's seats, `queues` and `level` decide (no clock, no I/O), `control` is
the shell around them. Reference: "API Priority and Fairness" and KEP-1040.
"""
