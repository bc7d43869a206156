"""postStart and preStop: exec, httpGet, tcpSocket (postStart only by history) and sleep."""

from kajitori.api.meta import Object
from kajitori.kit.clock import Clock, within
from kajitori.kubelet.http_probe import HttpRequest, probe_http, request_of
from kajitori.kubelet.runtime import ContainerRecord, Runtime, RuntimeFailure

HOOK_TIMEOUT_S = 3600.0


class HookFailed(Exception):
    """The message is the one of the event."""


async def run_hook(
    handler: Object,
    container: Object,
    record: ContainerRecord,
    pod_ip: str,
    runtime: Runtime,
    clock: Clock,
) -> None:
    """Raises HookFailed."""
    if command := (handler.get("exec") or {}).get("command"):
        try:
            result = await runtime.exec_sync(record.id, command, 0)
        except RuntimeFailure as error:
            raise HookFailed(str(error)) from None
        if result.exit_code:
            output = (result.stdout + result.stderr).decode(errors="replace")
            raise HookFailed(f"command '{' '.join(command)}' exited with {result.exit_code}: {output}")
    elif (http := handler.get("httpGet")) is not None:
        request: HttpRequest = request_of(http, container, pod_ip)
        outcome = await within(clock, HOOK_TIMEOUT_S, probe_http(request, clock, HOOK_TIMEOUT_S))
        if not outcome.passed:
            raise HookFailed(outcome.message)
    elif (sleep := handler.get("sleep")) is not None:
        await clock.sleep(float(sleep.get("seconds") or 0))
