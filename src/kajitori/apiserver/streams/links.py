"""What a proxied page says about where things are, changed so that it holds through the proxy: links of HTML pages, and
the Location of redirects.

A page served at `/api/v1/namespaces/n/pods/p/proxy/` that links to `/style.css` means the pod's root, not the API
server's. Only paths from the root, and full URLs of the proxied host, are changed; what is relative holds anyway. The
page is changed tag by tag as it streams through; a tag longer than `TAG_BYTES_MAX` is passed on as it is.
"""

import html
import re
from collections.abc import AsyncIterator
from posixpath import normpath
from urllib.parse import urlsplit, urlunsplit

TAG_BYTES_MAX = 64 << 10
_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "a": ("href",),
    "applet": ("codebase",),
    "area": ("href",),
    "audio": ("src",),
    "base": ("href",),
    "blockquote": ("cite",),
    "body": ("background",),
    "button": ("formaction",),
    "command": ("icon",),
    "del": ("cite",),
    "embed": ("src",),
    "form": ("action",),
    "frame": ("longdesc", "src"),
    "head": ("profile",),
    "html": ("manifest",),
    "iframe": ("longdesc", "src"),
    "img": ("longdesc", "src", "usemap"),
    "input": ("src", "usemap", "formaction"),
    "ins": ("cite",),
    "link": ("href",),
    "object": ("classid", "codebase", "data", "usemap"),
    "q": ("cite",),
    "script": ("src",),
    "source": ("src",),
    "video": ("poster", "src"),
}
_START = re.compile(rb"<(?=[A-Za-z])")
# No alternative can begin where another does, so that a match takes time in proportion to its length. (Possessive
# repetition of a group would say so plainly; Python 3.11.2 gets it wrong.)
_TAG = re.compile(rb"([A-Za-z][A-Za-z0-9]*)(?![A-Za-z0-9])((?:[^>\"']|\"[^\"]*\"|'[^']*')*)>")
_VALUE = re.compile(r"""(?<![^\s"'<>/=])([^\s"'<>/=]+)(\s*=\s*)("[^"]*"|'[^']*'|[^\s"'>]+)""")


class Links:
    """`prefix` is the path of the proxy, without a slash at its end; `hosts` are the names of what is proxied."""

    def __init__(self, prefix: str, hosts: tuple[str, ...]) -> None:
        self._prefix = prefix
        self._hosts = hosts

    def moved(self, url: str) -> str:
        """Where a URL of the page leads through the proxy."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return url
        elsewhere = bool(parts.netloc) and parts.netloc not in self._hosts
        if elsewhere or not parts.path.startswith("/"):
            return url
        path = parts.path
        if not path.startswith(self._prefix):
            slash = "/" if path.endswith("/") else ""
            path = self._prefix + normpath("/" + path.lstrip("/")).rstrip("/") + slash
        return urlunsplit(("", "", path, parts.query, parts.fragment))

    async def page(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        held = b""
        async for piece in pieces:
            done, held = self.rewritten(held + piece)
            if done:
                yield done
        if held:
            yield held

    def rewritten(self, page: bytes) -> tuple[bytes, bytes]:
        """The page as far as its tags are whole, and the rest. Every byte is looked at once: pages may be hostile."""
        done: list[bytes] = []
        at = 0
        while (start := _START.search(page, at)) is not None:
            tag = _TAG.match(page, start.end())
            if tag is None:
                if len(page) - start.start() > TAG_BYTES_MAX:
                    break
                return b"".join((*done, page[at : start.start()])), page[start.start() :]
            done += [page[at : start.end()], self._tag(tag)]
            at = tag.end()
        end = len(page) - page.endswith(b"<")
        return b"".join((*done, page[at:end])), page[end:]

    def _tag(self, found: "re.Match[bytes]") -> bytes:
        names = _ATTRIBUTES.get(found[1].decode().lower())
        if names is None:
            return found[0]

        def attribute(match: "re.Match[str]") -> str:
            name, equals, value = match.groups()
            if name.lower() not in names:
                return match[0]
            quote = value[0] if value[0] in "\"'" else ""
            url = html.unescape(value[1:-1] if quote else value)
            moved = self.moved(url)
            if moved == url:
                return match[0]
            return f"{name}{equals}{quote or chr(34)}{html.escape(moved)}{quote or chr(34)}"

        changed = _VALUE.sub(attribute, found[2].decode("utf-8", "surrogateescape"))
        return found[1] + changed.encode("utf-8", "surrogateescape") + b">"
