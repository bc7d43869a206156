"""CertificateSigningRequests: who asks is what the server has seen, never what the request says of itself."""

from kajitori.api.meta import Object
from kajitori.apiserver.authn.user_info import user_info
from kajitori.apiserver.http_types import RestHooks, WriteContext

_SUBJECT_FIELDS = ("username", "uid", "groups", "extra")


class SigningRequestHooks(RestHooks):
    async def before_create(self, obj: Object, context: WriteContext) -> None:
        spec = obj["spec"]
        for field in _SUBJECT_FIELDS:
            spec.pop(field, None)
        spec.update(user_info(context.user))

    async def before_update(self, new: Object, old: Object, context: WriteContext) -> None:
        """The request itself never changes; only its status and metadata do."""
        new["spec"] = old["spec"]
