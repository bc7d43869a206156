"""Settings of every test: what is judged is behaviour, never how busy the machine is, nor which examples chance drew.

`pytest --hypothesis-profile=explore` draws other examples every time, and ten times as many.
"""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "the same everywhere", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", settings.get_profile("the same everywhere"), derandomize=False, max_examples=1_000)
settings.load_profile("the same everywhere")
