"""Names of container images."""

import pytest

from kajitori.api.images import default_pull_policy, parse_image

_DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("name", "repository", "tag", "digest"),
    [
        ("nginx", "nginx", "", ""),
        ("nginx:1.27", "nginx", "1.27", ""),
        ("localhost:5000/a/b:v1", "localhost:5000/a/b", "v1", ""),
        (f"example.com/a@{_DIGEST}", "example.com/a", "", _DIGEST),
        (f"a:t@{_DIGEST}", "a", "t", _DIGEST),
    ],
)
def test_parts(name, repository, tag, digest):
    assert parse_image(name) == (repository, tag, digest)


@pytest.mark.parametrize("name", ["", "UPPER", "a:", "a b", "a@sha256:x", "a" * 64, "b" * 240])
def test_what_is_not_a_name(name):
    assert parse_image(name) is None


def test_only_a_moving_name_is_always_pulled():
    assert default_pull_policy("a") == default_pull_policy("a:latest") == "Always"
    assert default_pull_policy("a:1") == default_pull_policy(f"a@{_DIGEST}") == "IfNotPresent"
