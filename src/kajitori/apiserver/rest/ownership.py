"""Who writes: the field manager of a request."""

from kajitori.apiserver.http_types import RequestContext

MANAGER_MAX = 128


def manager_of(context: RequestContext, asked: str) -> str:
    """The field manager: what was asked for, else the first word of the user agent, as upstream derives it."""
    if asked:
        return asked
    agent = context.headers.get("user-agent", "")
    return agent.partition("/")[0][:MANAGER_MAX] or "unknown"
