"""Health checks by the names of upstream's post-start hooks."""

import asyncio

from kajitori.apiserver.http_types import Query, Request
from kajitori.apiserver.interfaces import User
from kajitori.apiserver.start_checks import LOOP_OF, WRITTEN, start_checks
from kajitori.kit.clock import SystemClock
from kajitori.testing.secured import secured_server

ADMIN = User("admin", ("system:masters",))


def test_a_check_fails_until_its_work_is_done_and_when_its_loop_has_ended():
    running = {WRITTEN}
    checks = start_checks(lambda name: name in running)
    assert checks["poststarthook/bootstrap-controller"]() == ""
    assert checks["autoregister-completion"]() == "aggregation: not finished, or ended"
    running.add("aggregation")
    assert checks["autoregister-completion"]() == ""


def test_every_hook_names_something_this_server_does(tmp_path):
    async def scenario():
        async with secured_server(tmp_path, SystemClock()) as secured:
            for endpoint in ("/healthz", "/livez", "/readyz"):
                response = await secured.server.answer(Request("GET", endpoint, Query("verbose")), ADMIN)
                assert response.status == 200
                lines = set(response.body.decode().splitlines())
                assert {f"[+]{name} ok" for name in LOOP_OF} <= lines
            await secured.guard.stop()
            response = await secured.server.answer(Request("GET", "/livez", Query("verbose")), ADMIN)
            assert response.status == 500
            assert b"[-]poststarthook/crd-informer-synced failed: reason withheld" in response.body

    asyncio.run(scenario())
