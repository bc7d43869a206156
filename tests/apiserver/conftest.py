"""Scenarios against a whole API server in this process, in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from kajitori.testing.cluster import ControlPlane

Scenario = Callable[[ControlPlane], Awaitable[None]]


@pytest.fixture
def in_cluster() -> Callable[[Scenario], None]:
    """Run a scenario with a fresh control plane that allows everything."""

    def run(scenario: Scenario) -> None:
        async def main() -> None:
            async with ControlPlane() as plane:
                await scenario(plane)

        asyncio.run(main())

    return run
