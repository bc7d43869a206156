"""The control loops: each watches some kinds, compares what is with what is wanted, and writes the difference.

`run.ControllerManager` runs them. A loop is a `controller.Controller`: its `sources` say what wakes it, its
`reconcile(key)` reads caches, asks a pure `plan` beside it what to do, and writes. Nothing runs while nothing changes:
there are no periodic resyncs, only timers for moments that are due (a deadline, a schedule, a toleration that ends).
"""
