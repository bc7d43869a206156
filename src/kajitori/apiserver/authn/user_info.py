"""A user as documents show it: authentication.k8s.io/v1 UserInfo, in reviews, admission, requests and the audit log."""

from kajitori.api.meta import Object
from kajitori.apiserver.interfaces import User


def user_info(user: User) -> Object:
    """Empty fields are left out."""
    info: Object = {"username": user.name}
    if user.uid:
        info["uid"] = user.uid
    if user.groups:
        info["groups"] = list(user.groups)
    if user.extra:
        info["extra"] = {name: list(values) for name, values in user.extra.items()}
    return info
