import orjson
import pytest

from kajitori.api.core import CONFIG_MAP

MAP = "/api/v1/namespaces/default/configmaps/a"


@pytest.mark.parametrize(
    ("path", "agent", "legible"),
    [
        (MAP, "kubectl/v1.36.2", False),
        (MAP, "", False),
        (MAP, "curl/7.88.1", True),
        (MAP, "Wget/1.21", True),
        (MAP, "Mozilla/5.0 (X11; Linux x86_64)", True),
        (f"{MAP}?pretty=true", "kubectl/v1.36.2", True),
        (f"{MAP}?pretty=false", "curl/7.88.1", False),
        ("/api/v1/namespaces/default/configmaps", "curl/7.88.1", True),
        ("/api/v1/namespaces/default/configmaps/none", "curl/7.88.1", True),
        ("/apis", "curl/7.88.1", True),
    ],
)
def test_people_get_many_lines(in_cluster, path, agent, legible):
    async def scenario(plane):
        await plane.client.create(CONFIG_MAP, {"metadata": {"name": "a", "namespace": "default"}})
        _, _, body = await plane.client.raw("GET", path, headers={"user-agent": agent})
        assert orjson.loads(body)
        assert (b"\n" in body) is legible

    in_cluster(scenario)


def test_what_is_no_json_stays(in_cluster):
    async def scenario(plane):
        _, _, plain = await plane.client.raw("GET", "/readyz")
        _, _, seen = await plane.client.raw("GET", "/readyz", headers={"user-agent": "curl/7.88.1"})
        assert seen == plain == b"ok"

    in_cluster(scenario)
