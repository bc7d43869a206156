"""ServiceAccount: every pod has one, and finds its token, the cluster's authority and its namespace in a volume.

Source: "Configure Service Accounts for Pods", and KEP-1205 for the projected volume.
"""

import random
from collections.abc import Iterator

from kajitori.api import core
from kajitori.api.errors import NotFound
from kajitori.api.meta import Object
from kajitori.apiserver.admission.mirror_pods import is_mirror, names_secrets
from kajitori.apiserver.admission.plugin import PODS, Plugin, refusal, subject
from kajitori.apiserver.interfaces import AdmissionRequest, Objects, Operation
from kajitori.kit.clock import Clock

MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
_PREFIX = "kube-api-access-"
_TOKEN_LIFETIME_S = 3607
_DEFAULT = "default"
_MOUNTABLE = "kubernetes.io/enforce-mountable-secrets"
_TRUE = {"1", "t", "T", "true", "True", "TRUE"}
# A new namespace gets its default account from a controller: a pod created at once waits for it this long.
_ATTEMPTS, _INTERVAL_S = 10, 0.1
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


class ServiceAccount(Plugin):
    kinds = frozenset((PODS,))

    def __init__(self, objects: Objects, clock: Clock, rng: random.Random) -> None:
        self._objects = objects
        self._clock = clock
        # It need be nobody else's in its pod only. One for all pods: those of one template stay equal, which is what
        # everything that remembers documents lives on.
        self._volume_name = _PREFIX + "".join(rng.choice(_ALPHABET) for _ in range(5))

    async def mutate(self, request: AdmissionRequest) -> None:
        if request.operation is not Operation.CREATE or request.subresource:
            return
        pod = subject(request)
        if is_mirror(pod):
            _check_mirror(request, pod)
            return
        spec = pod["spec"]
        name = spec.get("serviceAccountName") or spec.get("serviceAccount") or _DEFAULT
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        account = await self._account(request, name)
        if (account["metadata"].get("annotations") or {}).get(_MOUNTABLE) in _TRUE:
            for what, kind in _unreferenced(spec, account):
                why = f"is not allowed because service account {name} does not reference that {kind}"
                raise refusal(request, f"{what} {why}")
        if _automounts(spec, account):
            self._mount(spec)
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = [dict(reference) for reference in account["imagePullSecrets"]]

    async def _account(self, request: AdmissionRequest, name: str) -> Object:
        for attempt in range(_ATTEMPTS if name == _DEFAULT else 1):
            if attempt:
                await self._clock.sleep(_INTERVAL_S)
            found = self._objects.cached(core.SERVICE_ACCOUNT, name, request.namespace)
            if found is not None:
                return found
            try:
                return await self._objects.get(core.SERVICE_ACCOUNT, name, request.namespace)
            except NotFound:
                continue
        where = f"{request.namespace}/{name}"
        raise refusal(request, f'error looking up service account {where}: serviceaccount "{name}" not found')

    def _mount(self, spec: Object) -> None:
        """Add the volume and its mounts wherever nothing is mounted at that path."""
        volumes = spec.get("volumes") or []
        present = next((v["name"] for v in volumes if v["name"].startswith(_PREFIX)), "")
        name = present or self._volume_name
        mounted = False
        for field in ("initContainers", "containers"):
            for container in spec.get(field) or ():
                mounts = container.setdefault("volumeMounts", [])
                if any(mount.get("mountPath") == MOUNT_PATH for mount in mounts):
                    continue
                mounts.append({"name": name, "readOnly": True, "mountPath": MOUNT_PATH})
                mounted = True
        if mounted and not present:
            spec["volumes"] = [*volumes, _access_volume(name)]


def _check_mirror(request: AdmissionRequest, pod: Object) -> None:
    spec = pod["spec"]
    if spec.get("serviceAccountName"):
        raise refusal(request, "a mirror pod may not reference service accounts")
    if names_secrets(pod):
        raise refusal(request, "a mirror pod may not reference secrets")
    for volume in spec.get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            if source.get("serviceAccountToken"):
                raise refusal(request, "a mirror pod may not use ServiceAccountToken volume projections")


def _unreferenced(spec: Object, account: Object) -> Iterator[tuple[str, str]]:
    """What a pod names that its account does not, though that is the account's condition: where, and what it is."""
    own = {reference.get("name") for reference in account.get("secrets") or ()}
    for volume in spec.get("volumes") or ():
        if volume.get("secret") and (named := volume["secret"].get("secretName", "")) not in own:
            yield f'volume with secret.secretName="{named}"', "secret"
    for field, title in (("initContainers", "init container"), ("containers", "container")):
        for container in spec.get(field) or ():
            for where, named in _secrets_of(container):
                if named not in own:
                    yield f'{title} {container["name"]} with {where} referencing secret.secretName="{named}"', "secret"
    pulled = {reference.get("name") for reference in account.get("imagePullSecrets") or ()}
    for index, reference in enumerate(spec.get("imagePullSecrets") or ()):
        if (named := reference.get("name", "")) not in pulled:
            yield f'imagePullSecrets[{index}].name="{named}"', "imagePullSecret"


def _secrets_of(container: Object) -> Iterator[tuple[str, str]]:
    for variable in container.get("env") or ():
        if key := (variable.get("valueFrom") or {}).get("secretKeyRef"):
            yield f"envVar {variable['name']}", key.get("name", "")
    for source in container.get("envFrom") or ():
        if source.get("secretRef"):
            yield "envFrom", source["secretRef"].get("name", "")


def _automounts(spec: Object, account: Object) -> bool:
    for holder in (spec, account):
        if holder.get("automountServiceAccountToken") is not None:
            return bool(holder["automountServiceAccountToken"])
    return True


def _access_volume(name: str) -> Object:
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    sources = [
        {"serviceAccountToken": {"expirationSeconds": _TOKEN_LIFETIME_S, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [namespace]}},
    ]
    return {"name": name, "projected": {"sources": sources, "defaultMode": 0o644}}
