"""Hostile requests to the whole API server, and what must hold of every answer: `./run fuzz [--seconds N] [--seed S]`.

`documents` makes objects and spoils them, `asking` wraps them into requests, `served` is the server with its wire in
memory, `judging` looks at each answer, `__main__` goes on until the time is over.
"""
