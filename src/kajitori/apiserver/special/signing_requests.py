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
