"""JSON for people: `pretty=true` asks for it, and what people use to look (curl, wget, browsers) gets it unasked."""

from dataclasses import replace

import orjson

from kajitori.apiserver.http_types import JSON, Request, Response

_READ_BYTES_MAX = 16 << 20
"""Nobody reads more, and to lay it out would hold up everybody else."""
_PEOPLE_USE = ("curl", "Wget", "Mozilla/5.0")
_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))


def read_by_people(request: Request) -> bool:
    query = request.query
    if query.text and (asked := query.get("pretty")):
        return asked in _TRUE
    return request.headers.get("user-agent", "").startswith(_PEOPLE_USE)


def indented(response: Response) -> Response:
    """A copy with its JSON on many lines. What streams stays as it is, and so do documents too deep to be read."""
    if not response.body or len(response.body) > _READ_BYTES_MAX or not response.content_type.startswith(JSON):
        return response
    try:
        document = orjson.loads(response.body)
        return replace(response, body=orjson.dumps(document, option=orjson.OPT_INDENT_2))
    except (orjson.JSONDecodeError, TypeError):
        return response
