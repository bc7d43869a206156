"""Requests through a whole server, and what the audit log says of them."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
import pytest

from kajitori.api.errors import Unauthorized
from kajitori.apiserver.audit.auditor import Auditor
from kajitori.apiserver.audit.policy import Decision, Level, Policy, Resources, Rule
from kajitori.apiserver.audit.sinks import Entry, Losses
from kajitori.apiserver.extension import ADMIN, Extension
from kajitori.apiserver.http_types import Query, Request, RequestContext, Response, Sink
from kajitori.apiserver.interfaces import AdmissionRequest, Attributes, Credentials, User, Verdict
from kajitori.apiserver.request_info import request_info
from kajitori.kit.clock import VirtualClock
from kajitori.testing.cluster import ControlPlane

JANE = User("jane", ("dev",), "7")
PATCH = "patch.webhook.admission.k8s.io/round_0_index_0"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


class Kept:
    """A sink in memory, which can be told to fail."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.works = True
        self.losses = Losses("log", VirtualClock())

    def put(self, entry: Entry) -> bool:
        self.entries.append(entry)
        return self.works

    async def close(self) -> None: ...

    @property
    def documents(self) -> list[dict[str, Any]]:
        return [entry.document() for entry in self.entries]


class Tokens:
    """Everybody with a token is ADMIN, and nobody else is anybody."""

    def known(self, credentials: Credentials) -> User | None:
        return None

    async def authenticate(self, credentials: Credentials) -> User:
        if credentials.bearer_token != "good":
            raise Unauthorized()
        return ADMIN


class NotForJane:
    def authorize(self, attributes: Attributes) -> tuple[Verdict, str]:
        return (Verdict.NO_OPINION, "not jane") if attributes.user == JANE else (Verdict.ALLOW, "because")


class Notes:
    async def mutate(self, request: AdmissionRequest) -> None:
        request.annotations["example.org/note"] = request.operation.value
        request.annotations[PATCH] = "hunter2"

    async def validate(self, request: AdmissionRequest) -> None: ...


async def _broken(context: RequestContext) -> Response:
    raise ZeroDivisionError("secret detail")


def audited(
    scenario: Callable[[ControlPlane, Kept], Awaitable[None]], level: Level = Level.METADATA, *rules: Rule, **more: Any
) -> None:
    async def main() -> None:
        kept, clock = Kept(), VirtualClock()
        everything = Rule(decision=Decision(level, **more))
        auditor = Auditor(Policy([*rules, everything]), [kept], clock)
        extension = Extension(
            authenticator=Tokens(),
            authorizer=NotForJane(),
            admission=(Notes(),),
            auditor=auditor,
            path_handlers={"/broken": _broken},
        )
        async with ControlPlane(clock, extension=extension) as plane:
            kept.entries.clear()
            await scenario(plane, kept)

    asyncio.run(main())


async def ask(
    plane: ControlPlane,
    method: str,
    path: str,
    body: bytes = b"",
    *,
    user: User | None = ADMIN,
    headers: Mapping[str, str] = {},
) -> Response:
    path, _, query = path.partition("?")
    return await plane.server._pipeline.answer(
        Request(method, path, Query(query), dict(headers), body, raw_path=path), user
    )


CREATED = orjson.dumps({"metadata": {"name": "c"}, "data": {"password": "hunter2"}})


def test_metadata_tells_who_what_when_and_what_came_of_it_but_no_content() -> None:
    async def scenario(plane: ControlPlane, kept: Kept) -> None:
        headers = {"user-agent": "kubectl", "x-forwarded-for": "203.0.113.9, nonsense", "audit-id": "mine"}
        response = await ask(plane, "POST", f"{CONFIG_MAPS}?fieldManager=m", CREATED, headers=headers)
        assert ("Audit-Id", "mine") in response.headers
        received, complete = kept.documents
        assert received["stage"] == "RequestReceived"
        assert "responseStatus" not in received
        assert complete == {
            "kind": "Event",
            "apiVersion": "audit.k8s.io/v1",
            "level": "Metadata",
            "auditID": "mine",
            "stage": "ResponseComplete",
            "requestURI": f"{CONFIG_MAPS}?fieldManager=m",
            "verb": "create",
            "user": {"username": "kubernetes-admin", "groups": ["system:masters", "system:authenticated"]},
            "sourceIPs": ["203.0.113.9"],
            "userAgent": "kubectl",
            "objectRef": {"resource": "configmaps", "namespace": "default", "name": "c", "apiVersion": "v1"},
            "responseStatus": {"metadata": {}, "code": 201},
            "requestReceivedTimestamp": "2027-01-15T08:00:00.000000Z",
            "stageTimestamp": "2027-01-15T08:00:00.000000Z",
            "annotations": {
                "authorization.k8s.io/decision": "allow",
                "authorization.k8s.io/reason": "because",
                "example.org/note": "CREATE",
            },
        }
        assert b"hunter2" not in orjson.dumps(kept.documents)

    audited(scenario)


def test_the_levels_add_what_was_sent_and_what_was_answered() -> None:
    async def request(plane: ControlPlane, kept: Kept) -> None:
        await ask(plane, "POST", CONFIG_MAPS, CREATED)
        document = kept.documents[-1]
        assert document["requestObject"]["data"] == {"password": "hunter2"}
        assert document["annotations"][PATCH] == "hunter2"
        assert "responseObject" not in document

    async def response(plane: ControlPlane, kept: Kept) -> None:
        await ask(plane, "POST", CONFIG_MAPS, CREATED)
        document = kept.documents[-1]
        assert document["responseObject"]["metadata"]["uid"]
        assert "managedFields" not in document["responseObject"]["metadata"]
        await ask(plane, "GET", CONFIG_MAPS)
        (item,) = (i for i in kept.documents[-1]["responseObject"]["items"] if i["metadata"]["name"] == "c")
        assert "managedFields" not in item["metadata"]

    audited(request, Level.REQUEST)
    audited(response, Level.REQUEST_RESPONSE, omit_managed_fields=True)


def test_yaml_is_kept_as_json() -> None:
    async def scenario(plane: ControlPlane, kept: Kept) -> None:
        body = b"metadata: {name: why}\ndata: {a: b}\n"
        await ask(plane, "POST", CONFIG_MAPS, body, headers={"content-type": "application/yaml"})
        assert kept.documents[-1]["requestObject"]["data"] == {"a": "b"}

    audited(scenario, Level.REQUEST)


def test_none_and_omitted_stages_are_not_written() -> None:
    async def none(plane: ControlPlane, kept: Kept) -> None:
        response = await ask(plane, "GET", CONFIG_MAPS)
        assert kept.entries == []
        assert "Audit-Id" in dict(response.headers)

    async def omitted(plane: ControlPlane, kept: Kept) -> None:
        await ask(plane, "GET", CONFIG_MAPS)
        assert [document["stage"] for document in kept.documents] == ["ResponseComplete"]

    audited(none, Level.NONE)
    audited(omitted, Level.METADATA, omitted=frozenset({"RequestReceived"}))


def test_a_refusal_is_told_with_its_status() -> None:
    async def scenario(plane: ControlPlane, kept: Kept) -> None:
        await ask(plane, "GET", f"{CONFIG_MAPS}/c", user=JANE)
        document = kept.documents[-1]
        assert document["user"] == {"username": "jane", "uid": "7", "groups": ["dev"]}
        assert document["responseStatus"]["code"] == 403
        assert document["responseStatus"]["reason"] == "Forbidden"
        assert document["annotations"] == {
            "authorization.k8s.io/decision": "forbid",
            "authorization.k8s.io/reason": "not jane",
        }

    audited(scenario)


def test_who_is_not_known_leaves_one_event_without_his_token() -> None:
    async def scenario(plane: ControlPlane, kept: Kept) -> None:
        response = await ask(plane, "GET", CONFIG_MAPS, user=None, headers={"authorization": "Bearer stolen"})
        assert response.status == 401
        (document,) = kept.documents
        assert document["stage"] == "ResponseStarted"
        assert document["user"] == {}
        assert document["responseStatus"]["code"] == 401
        assert b"stolen" not in orjson.dumps(document)

    audited(scenario, Level.REQUEST_RESPONSE)


def test_the_policy_judges_the_real_user_and_the_event_names_both() -> None:
    async def scenario(plane: ControlPlane, kept: Kept) -> None:
        headers = {"authorization": "Bearer good", "impersonate-user": "jim"}
        await ask(plane, "GET", CONFIG_MAPS, user=None, headers=headers)
        document = kept.documents[-1]
        assert document["user"]["username"] == "kubernetes-admin"
        assert document["impersonatedUser"] == {"username": "jim", "groups": ["system:authenticated"]}

        assert "impersonatedUser" not in kept.documents[0], "what was received came before anybody was impersonated"

    jim = Rule(decision=Decision(Level.NONE), users=frozenset({"jim"}))
    audited(scenario, Level.METADATA, jim)


def test_what_waits_to_be_written_weighs_what_it_weighed_and_the_first_understanding_counts() -> None:
    kept = Kept()
    trail = Auditor(Policy([Rule(decision=Decision(Level.REQUEST))]), [kept], VirtualClock()).begin(
        Request("POST", CONFIG_MAPS, body=CREATED)
    )
    trail.received(ADMIN, request_info("POST", CONFIG_MAPS, Query("")))
    trail.understood({"kind": "ConfigMap", "data": {"as": "sent"}})
    trail.understood({"kind": "ConfigMap", "data": {"as": "changed"}})
    trail.ended(Response(201), request_info("POST", CONFIG_MAPS, Query("")))
    received, complete = kept.entries
    assert (received.size, complete.document()["requestObject"]["data"]) == (0, {"as": "sent"})


class Chunks(Sink):
    writable = True

    def write(self, chunk: bytes) -> None: ...

    def end(self) -> None: ...


def test_a_watch_starts_and_completes_and_its_events_are_not_written() -> None:
    async def scenario(plane: ControlPlane, kept: Kept) -> None:
        response = await ask(plane, "GET", f"{CONFIG_MAPS}?watch=1")
        assert [d["stage"] for d in kept.documents] == ["RequestReceived", "ResponseStarted"]
        assert response.source is not None
        response.source.start(Chunks())
        await ask(plane, "POST", CONFIG_MAPS, CREATED)
        assert len(kept.entries) == 4
        response.source.stop()
        response.source.stop()
        assert [d["verb"] for d in kept.documents if d["stage"] == "ResponseComplete"] == ["create", "watch"]
        assert "responseObject" not in kept.documents[-1]

    audited(scenario, Level.REQUEST_RESPONSE)


def test_our_own_fault_is_a_panic_and_says_no_more_than_its_kind() -> None:
    async def scenario(plane: ControlPlane, kept: Kept) -> None:
        response = await ask(plane, "GET", "/broken")
        assert response.status == 500
        assert [d["stage"] for d in kept.documents] == ["RequestReceived", "Panic"]
        assert b"secret detail" not in orjson.dumps(kept.documents)

    audited(scenario)


def test_a_strict_log_that_cannot_be_written_stops_the_request() -> None:
    async def scenario(plane: ControlPlane, kept: Kept) -> None:
        kept.works = False
        response = await ask(plane, "POST", CONFIG_MAPS, CREATED)
        assert response.status == 500
        assert b"failed to store audit event" in response.body
        auditor = plane.server.extension.auditor
        assert auditor is not None
        auditor.measure(plane.server.metrics)
        scraped = plane.server.metrics.render().body
        assert b"apiserver_audit_requests_rejected_total 1" in scraped
        assert b'apiserver_audit_error_total{plugin="log"} 0' in scraped
        assert (
            plane.server.objects.cached(plane.resource({"apiVersion": "v1", "kind": "ConfigMap"}), "c", "default")
            is None
        )

    audited(scenario)


@pytest.mark.parametrize(("plurals", "covers"), [(("*",), True), (("*/status",), True), (("pods",), False)])
def test_a_star_covers_every_resource_and_subresource(plurals: tuple[str, ...], covers: bool) -> None:
    asked = Attributes(JANE, "get", "", "v1", "pods", "status", name="p")
    assert Resources("", plurals, frozenset()).cover(asked) is covers


def test_what_was_sent_is_shown_as_it_was_understood() -> None:
    service = orjson.dumps({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}, "unknown": 1})

    async def scenario(plane: ControlPlane, kept: Kept) -> None:
        services = "/api/v1/namespaces/default/services"
        await ask(plane, "POST", services, service)
        sent = kept.documents[-1]["requestObject"]
        assert (sent["kind"], sent["spec"]["type"], sent["spec"]["ports"][0]["protocol"]) == (
            "Service",
            "ClusterIP",
            "TCP",
        )
        assert "unknown" not in sent
        assert "managedFields" not in sent["metadata"]
        await ask(plane, "POST", f"{services}?dryRun=Some", service)
        assert "requestObject" not in kept.documents[-1]
        assert "name" not in kept.documents[-1]["objectRef"]
        await ask(plane, "DELETE", f"{services}/s", b'{"gracePeriodSeconds":0,"nobody":"knows"}')
        assert kept.documents[-1]["requestObject"] == {
            "kind": "DeleteOptions",
            "apiVersion": "meta.k8s.io/__internal",
            "gracePeriodSeconds": 0,
        }

    audited(scenario, Level.REQUEST)


def test_a_patch_is_shown_as_it_came_and_names_nothing() -> None:
    async def scenario(plane: ControlPlane, kept: Kept) -> None:
        patch = {"metadata": {"resourceVersion": "1"}, "unknown": 1}
        headers = {"content-type": "application/merge-patch+json"}
        await ask(plane, "PATCH", f"{CONFIG_MAPS}/c", orjson.dumps(patch), headers=headers)
        assert kept.documents[-1]["requestObject"] == patch
        assert "resourceVersion" not in kept.documents[-1]["objectRef"]

    audited(scenario, Level.REQUEST)


def test_what_may_take_long_starts_even_when_it_is_refused() -> None:
    async def scenario(plane: ControlPlane, kept: Kept) -> None:
        for path in (f"{CONFIG_MAPS}?watch=1&resourceVersion=nonsense", "/api/v1/namespaces/default/pods/p/log"):
            kept.entries.clear()
            await ask(plane, "GET", path)
            stages = [document["stage"] for document in kept.documents]
            assert stages == ["RequestReceived", "ResponseStarted", "ResponseComplete"]
            assert kept.documents[1]["responseStatus"] == kept.documents[2]["responseStatus"]
            assert kept.documents[1]["responseObject"]["kind"] == "Status"

    audited(scenario, Level.REQUEST_RESPONSE)


def test_of_pages_that_are_no_objects_nothing_is_shown() -> None:
    async def scenario(plane: ControlPlane, kept: Kept) -> None:
        await ask(plane, "GET", "/version")
        assert "responseObject" not in kept.documents[-1]
        await ask(plane, "GET", "/api")
        assert kept.documents[-1]["responseObject"]["kind"] == "APIVersions"

    audited(scenario, Level.REQUEST_RESPONSE)


def test_the_outcome_of_a_deletion_is_told_at_every_level() -> None:
    async def scenario(plane: ControlPlane, kept: Kept) -> None:
        await ask(plane, "POST", CONFIG_MAPS, CREATED)
        await ask(plane, "DELETE", f"{CONFIG_MAPS}/c")
        assert kept.documents[-1]["responseStatus"]["status"] == "Success"
        assert kept.documents[-1]["responseStatus"]["details"]["name"] == "c"

    audited(scenario)
