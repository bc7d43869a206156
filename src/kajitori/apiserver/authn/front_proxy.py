"""Users that an authenticating proxy names in headers of its requests ("Authenticating proxy", --requestheader-*).

The headers are believed only from whoever shows a client certificate of the proxies' own authority, with an allowed
common name; from everybody else they are nothing. The pipeline removes them from every request before it goes on.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from kajitori.apiserver.authn.anchors import Anchors, Period
from kajitori.apiserver.authn.x509 import REMEMBERED_MAX, client_name
from kajitori.apiserver.interfaces import Credentials, User
from kajitori.kit.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderNames:
    """The headers that carry a user; of several the first that is there counts, but groups and extras of all are taken.
    A header that was sent several times holds one value a line."""

    user: tuple[str, ...] = ("X-Remote-User",)
    uid: tuple[str, ...] = ("X-Remote-Uid",)
    group: tuple[str, ...] = ("X-Remote-Group",)
    extra_prefixes: tuple[str, ...] = ("X-Remote-Extra-",)

    @property
    def all(self) -> tuple[str, ...]:
        """What their names begin with, in lower case."""
        return tuple(name.lower() for name in (*self.user, *self.uid, *self.group, *self.extra_prefixes))

    def lowered(self) -> "HeaderNames":
        user, uid, group, extra = (
            tuple(map(str.lower, names)) for names in (self.user, self.uid, self.group, self.extra_prefixes)
        )
        return HeaderNames(user=user, uid=uid, group=group, extra_prefixes=extra)

    def user_of(self, headers: Mapping[str, str]) -> User | None:
        """None when no header names one. Of names in lower case."""
        name = _first(headers, self.user)
        if not name:
            return None
        groups = (group for header in self.group for group in headers.get(header, "").split("\n") if group)
        extra: dict[str, tuple[str, ...]] = {}
        for prefix in self.extra_prefixes:
            for header, value in headers.items():
                if header.startswith(prefix):
                    key = unquote(header[len(prefix) :])
                    extra[key] = (*extra.get(key, ()), *map(_text, value.split("\n")))
        return User(name, tuple(map(_text, groups)), _first(headers, self.uid), extra)


STANDARD = HeaderNames()


def _first(headers: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((_text(value) for name in names if (value := headers.get(name, "").split("\n")[0])), "")


def _text(value: str) -> str:
    """Header lines arrive as Latin-1 and mean UTF-8."""
    return value.encode("latin-1", "replace").decode("utf-8", "replace")


class FrontProxies:
    """Who may name users. `allowed` empty: whoever has a certificate of the authority."""

    def __init__(self, anchors: Anchors, allowed: tuple[str, ...], names: HeaderNames, clock: Clock) -> None:
        self._anchors = anchors
        self._allowed = frozenset(allowed)
        self._names = names.lowered()
        self._clock = clock
        self._remembered: OrderedDict[bytes, Period] = OrderedDict()

    def trust(self, anchors: Anchors) -> None:
        """From now on these authorities, and no others."""
        self._anchors = anchors
        self._remembered.clear()

    def user_of(self, credentials: Credentials) -> User | None:
        """Whom a proxy names; None when it names nobody, or is no proxy."""
        certificate, headers = credentials.certificate, credentials.headers
        if certificate is None or not any(headers.get(name) for name in self._names.user):
            return None
        period = self._remembered.get(certificate) or self._judged(certificate, credentials.chain)
        if period is None or not period[0] <= self._clock.now() <= period[1]:
            return None
        return self._names.user_of(headers)

    def _judged(self, certificate: bytes, chain: tuple[bytes, ...]) -> Period | None:
        try:
            name, period = client_name(certificate), self._anchors.period_of(chain)
        except Exception:  # the parser has many ways to say that a field is damaged
            return None
        if period is None or chain[0] != certificate or (self._allowed and name not in self._allowed):
            return None
        self._remembered[certificate] = period
        if len(self._remembered) > REMEMBERED_MAX:
            self._remembered.popitem(last=False)
        return period
