"""What clients and mutating admission may spoil, and the server mends with a warning: repeated owners, managedFields.

Source: KEP-555 and "Garbage Collection". Upstream tells who is to blame by when it looks: before and after admission.
"""

import orjson

from kajitori.api.meta import Object
from kajitori.api.patch.given_managers import entry_problem
from kajitori.apiserver.interfaces import AdmissionRequest

_OWNERS = ".metadata.ownerReferences contains duplicate entries"
_OWNERS_END = (
    "; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your "
    "requests; duplicate UID(s) observed: "
)
_FIELDS = (
    ".metadata.managedFields was in an invalid state after admission; this could be caused by an outdated mutating "
    "admission controller; please fix your requests: "
)


def mend_owners(request: AdmissionRequest, *, admitted: bool) -> None:
    assert request.object is not None
    metadata = request.object["metadata"]
    references = metadata.get("ownerReferences")
    if references is None or len(references) < 2:
        return
    distinct: dict[bytes, Object] = {}
    repeated = []
    for reference in references:
        identity = orjson.dumps(reference, option=orjson.OPT_SORT_KEYS)
        if identity in distinct:
            repeated.append(str(reference.get("uid", "")))
        else:
            distinct[identity] = reference
    if repeated:
        when = " after mutating admission happens" if admitted else ""
        request.warnings.append(f"{_OWNERS}{when}{_OWNERS_END}{', '.join(repeated)}")
        metadata["ownerReferences"] = list(distinct.values())


def mend_managed_fields(request: AdmissionRequest, before: list[Object] | None) -> None:
    """Put back what was there, when what is there now cannot be read."""
    assert request.object is not None
    metadata = request.object["metadata"]
    after = metadata.get("managedFields")
    if not after or after == before:
        return
    problem = next((text for index, entry in enumerate(after) if (text := entry_problem(index, entry))), "")
    if not problem:
        return
    request.warnings.append(_FIELDS + problem)
    if before is None:
        del metadata["managedFields"]
    else:
        metadata["managedFields"] = before
