"""CertificateSigningRequests: who asks is what the server has seen, never what the request says of itself."""

from kajitori.api.meta import Object
from kajitori.apiserver.http_types import RestHooks, WriteContext

_SUBJECT_FIELDS = ("username", "uid", "groups", "extra")


class SigningRequestHooks(RestHooks):
    async def before_create(self, obj: Object, context: WriteContext) -> None:
        user, spec = context.user, obj["spec"]
        for field in _SUBJECT_FIELDS:
            spec.pop(field, None)
        spec["username"] = user.name
        if user.uid:
            spec["uid"] = user.uid
        if user.groups:
            spec["groups"] = list(user.groups)
        if user.extra:
            spec["extra"] = {name: list(values) for name, values in user.extra.items()}

    async def before_update(self, new: Object, old: Object, context: WriteContext) -> None:
        """The request itself never changes; only its status and metadata do."""
        new["spec"] = old["spec"]
