"""CEL, the expression language of Kubernetes: parsed, checked and evaluated here, within a budget.

    from kajitori.api.cel.program import compile                # import inside the function that needs it first
    from kajitori.api.cel.kubernetes import kubernetes_environment

    environment = kubernetes_environment({"object": types.DYN, "authorizer": authorizer.AUTHORIZER})
    program = compile("object.spec.replicas < 5", environment)  # CompileError: its text is upstream's
    result = program.run({"object": deployment}, limit=1_000_000)
    result.value, result.error, result.cost                     # or program.evaluate(...), which raises

Nothing of this package is imported before an expression is first compiled. The way of an expression: `tokens` and
`parser` (with `macros`) make a tree (`ast`); `checker` gives it types (`types`, `unification`) from an `environment`;
`planner` and `loops` turn it into closures over a `frames.Frame`; `library` holds the functions. `costs` counts while
it runs, `estimates` says before how much it can cost at most. Variables are plain JSON documents, or any Mapping for
fields that are computed when needed. Objects that expressions construct (see `mutation`) become `values.StructValue`, a
dict; `values.plain` turns any value into JSON. Questions to the authorizer are answered between evaluations: see
`library.authorizer`.

Bounds: the text has 100,000 characters and 250 levels at most; an evaluation ends when its cost exceeds its limit
(1,000,000 for one expression, as upstream); lists and maps that it makes have 1,000,000 elements and strings 8 Mi
characters at most; patterns run in linear time (RE2).
"""
