"""Getting a container's image onto the node, by its pull policy, with upstream's reasons and back-off."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from kajitori.api.images import default_pull_policy, parse_image
from kajitori.kit.backoff import Backoff
from kajitori.kit.clock import Clock
from kajitori.kubelet.runtime import ImageRecord, Runtime, RuntimeFailure

logger = logging.getLogger(__name__)

PULL_BACKOFF = Backoff(initial_s=10.0, max_s=300.0)

Tell = Callable[[str, str, str], None]
"""Type, reason and message of an event about the container that wants the image."""


@dataclass(frozen=True, slots=True)
class _Failure:
    count: int
    retry_at_s: float


class ImageProblem(Exception):
    """`reason` is what the container waits with; `retry_s`, when trying again may help."""

    def __init__(self, reason: str, message: str, retry_s: float) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_s = retry_s


def normalise(image: str) -> str:
    """`notes:1` -> `docker.io/library/notes:1`: the full name under which the runtime keeps it."""
    name = parse_image(image)
    if name is None:
        raise ValueError(image)
    first, slash, rest = name.repository.partition("/")
    is_domain = bool(slash) and ("." in first or ":" in first or first == "localhost")
    domain, path = (first, rest) if is_domain else ("docker.io", name.repository)
    if domain in ("docker.io", "index.docker.io"):
        domain = "docker.io"
        path = path if "/" in path else f"library/{path}"
    tag = name.tag or ("" if name.digest else "latest")
    return f"{domain}/{path}" + (f":{tag}" if tag else "") + (f"@{name.digest}" if name.digest else "")


class Images:
    """One pull at a time, since pulls compete for one disk; back-off is remembered by image and pod."""

    def __init__(self, runtime: Runtime, clock: Clock) -> None:
        self._runtime = runtime
        self._clock = clock
        self._pulling = asyncio.Lock()
        self._failures: dict[tuple[str, str], _Failure] = {}

    def forget(self, pod_uid: str) -> None:
        for key in [key for key in self._failures if key[0] == pod_uid]:
            del self._failures[key]

    async def ensure(self, pod_uid: str, image: str, policy: str, tell: Tell) -> tuple[str, ImageRecord]:
        """The image's full name and record; raises ImageProblem."""
        try:
            name = normalise(image)
        except ValueError:
            message = f'Failed to apply default image tag "{image}": couldn\'t parse image name "{image}": '
            message += "invalid reference format"
            tell("Warning", "InspectFailed", message)
            tell("Warning", "Failed", "Error: InvalidImageName")
            raise ImageProblem("InvalidImageName", message, PULL_BACKOFF.max_s) from None
        policy = policy or default_pull_policy(image)
        record = await self._runtime.image(name)
        if record is not None and policy != "Always":
            tell(
                "Normal",
                "Pulled",
                f'Container image "{image}" already present on machine and can be accessed by the pod',
            )
            return name, record
        if policy == "Never":
            message = f'Container image "{image}" is not present with pull policy of Never'
            tell("Warning", "ErrImageNeverPull", message)
            tell("Warning", "Failed", "Error: ErrImageNeverPull")
            raise ImageProblem("ErrImageNeverPull", message, PULL_BACKOFF.initial_s)
        return name, await self._pull(pod_uid, image, name, tell)

    async def _pull(self, pod_uid: str, image: str, name: str, tell: Tell) -> ImageRecord:
        key = (pod_uid, name)
        began_s = self._clock.monotonic()
        failed = self._failures.get(key)
        if failed and failed.retry_at_s > began_s:
            raise self._in_backoff(image, failed.retry_at_s - began_s, tell)
        tell("Normal", "Pulling", f'Pulling image "{image}"')
        async with self._pulling:
            pull_began_s = self._clock.monotonic()
            try:
                await self._runtime.pull_image(name)
                record = await self._runtime.image(name)
            except RuntimeFailure as error:
                raise self._failed(key, image, str(error), tell) from None
        if record is None:
            raise self._failed(key, image, "the runtime does not list the image it has just pulled", tell)
        self._failures.pop(key, None)
        ended_s = self._clock.monotonic()
        tell(
            "Normal",
            "Pulled",
            f'Successfully pulled image "{image}" in {ended_s - pull_began_s:.3f}s '
            f"({ended_s - began_s:.3f}s including waiting). Image size: {record.size_bytes} bytes.",
        )
        return record

    def _in_backoff(self, image: str, left_s: float, tell: Tell) -> ImageProblem:
        message = f'Back-off pulling image "{image}"'
        tell("Normal", "BackOff", message)
        tell("Warning", "Failed", "Error: ImagePullBackOff")
        return ImageProblem("ImagePullBackOff", message, left_s)

    def _failed(self, key: tuple[str, str], image: str, why: str, tell: Tell) -> ImageProblem:
        """The first look after a failure says ImagePullBackOff, so that is soon; the next pull waits its turn."""
        known = self._failures.get(key)
        count = known.count + 1 if known else 1
        now_s = self._clock.monotonic()
        self._failures[key] = _Failure(count, now_s + PULL_BACKOFF.delay_s(count))
        tell("Warning", "Failed", f'Failed to pull image "{image}": {why}')
        tell("Warning", "Failed", "Error: ErrImagePull")
        return ImageProblem("ErrImagePull", why, 1.0)
