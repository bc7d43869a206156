"""The machine's logs as the node's API gives them."""

import asyncio

import pytest

from kajitori.kubelet.server.http_messages import Failure
from kajitori.kubelet.server.system_logs import CHUNK_BYTES, chunks, open_log


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "log"
    (root / "apt").mkdir(parents=True)
    (root / "a <b>.log").write_text("one\n")
    (tmp_path / "secret").write_text("not a log")
    return root


def test_a_directory_is_a_page_of_links(root):
    page = open_log(root, "/logs/")
    assert page.content_type == "text/html; charset=utf-8"
    assert '<a href="a%20%3Cb%3E.log">a &lt;b&gt;.log</a>\n<a href="apt/">apt/</a>\n' in page.body.decode()


def test_a_directory_has_a_slash_at_its_end(root):
    moved = open_log(root, "/logs/apt")
    assert (moved.status, moved.headers["Location"]) == (301, "apt/")


def test_a_file_is_given_as_it_is_when_asked_for(root):
    async def read(file):
        found = []
        async for chunk in chunks(file):
            found.append(chunk)
            with (root / "a <b>.log").open("ab") as more:
                more.write(b"written meanwhile")
        return b"".join(found)

    with open_log(root, "/logs/a%20%3Cb%3E.log") as file:
        assert asyncio.run(read(file)) == b"one\n"
    (root / "long").write_bytes(b"x" * (CHUNK_BYTES + 1))
    with open_log(root, "/logs/long") as file:
        assert len(asyncio.run(read(file))) == CHUNK_BYTES + 1


@pytest.mark.parametrize("path", ["/logs/../secret", "/logs/apt/../../secret", "/logs/%2e%2e/secret", "/logs/none"])
def test_nothing_above_the_logs_is_found(root, path):
    with pytest.raises(Failure) as refused:
        open_log(root, path)
    assert refused.value.status == 404
