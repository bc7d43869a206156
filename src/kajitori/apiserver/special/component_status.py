"""componentstatuses: how the scheduler, the controllers and the store are, asked when somebody looks.

Deprecated since v1.19, served as upstream serves it: never stored, never watched.
"""

from collections.abc import Mapping

from kajitori.api.core import COMPONENT_STATUS
from kajitori.api.errors import BadRequest, MethodNotAllowed, NotFound
from kajitori.api.meta import Object
from kajitori.api.selectors import parse_field_selector, parse_label_selector
from kajitori.apiserver.health import Check, run_check
from kajitori.apiserver.http_types import Handler, HandlerKey, RequestContext, Response
from kajitori.apiserver.negotiate import Form, accepted, encode_document
from kajitori.apiserver.refusals import method_not_allowed
from kajitori.apiserver.table import table_of

_FIELDS = ("metadata.name", "metadata.namespace")


class ComponentStatuses:
    """By their names, in the order in which they are listed."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks

    def handlers(self) -> Mapping[HandlerKey, Handler]:
        return {("", COMPONENT_STATUS.plural, ""): self._serve}

    async def _serve(self, context: RequestContext) -> Response:
        verb = context.attributes.verb
        if verb == "watch":
            kind = COMPONENT_STATUS.plural
            raise MethodNotAllowed(f'watch is not supported on resources of kind "{kind}"', {"kind": kind})
        if verb not in COMPONENT_STATUS.verbs:
            raise method_not_allowed()
        if verb == "list":
            names = [name for name in self._checks if _selected(name, context)]
            return _shown(context, [await self._status(name) for name in names])
        if context.name not in self._checks:
            details = {"name": context.name, "kind": "componentstatus"}
            raise NotFound(f'componentstatus "{context.name}" not found', details)
        return _shown(context, [await self._status(context.name)])

    async def _status(self, name: str) -> Object:
        why = await run_check(self._checks[name])
        condition = {"type": "Healthy", "status": "False" if why else "True", "message": why or "ok"}
        return {"metadata": {"name": name}, "conditions": [condition]}


def _selected(name: str, context: RequestContext) -> bool:
    if not parse_label_selector(context.attributes.label_selector).matches({}):
        return False
    for asked in parse_field_selector(context.attributes.field_selector).requirements:
        if asked.field not in _FIELDS:
            quoted = ", ".join(f'"{field}"' for field in _FIELDS)
            raise BadRequest(f'"{asked.field}" is not a known field selector: only {quoted}')
        if ((name if asked.field == _FIELDS[0] else "") == asked.value) is not asked.equal:
            return False
    return True


def _shown(context: RequestContext, items: list[Object]) -> Response:
    lists = context.attributes.verb == "list"
    resource, accept = COMPONENT_STATUS, accepted(context.headers.get("accept", ""), lists=lists)
    head: Object = {"kind": resource.kind, "apiVersion": resource.api_version}
    document: Object
    if accept.form is Form.TABLE:
        document = table_of(
            resource, items, accept.version, 0.0, include=context.query.get("includeObject", "Metadata")
        )
    elif accept.form in (Form.METADATA, Form.METADATA_LIST):
        of = {"kind": "PartialObjectMetadata", "apiVersion": f"meta.k8s.io/{accept.version}"}
        partial = [{**of, "metadata": item["metadata"]} for item in items]
        listed = {**of, "kind": f"{of['kind']}List", "metadata": {}, "items": partial}
        document = listed if lists else partial[0]
    elif not lists:
        document = {**head, **items[0]}
    else:
        document = {**head, "kind": f"{resource.kind}List", "metadata": {}, "items": items}
    return Response(200, encode_document(document, accept), accept.content_type)
