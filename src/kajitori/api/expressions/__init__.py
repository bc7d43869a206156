"""The expressions of admission: what they may speak of, what each must give, and what it costs to ask them."""
