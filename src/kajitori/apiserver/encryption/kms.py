"""The provider `kms` of an EncryptionConfiguration (KMS v2): a plugin keeps the key, this server the seeds it encrypts.

Writing needs no call: the current seed is in memory, with what the plugin made of it. Every minute (every ten seconds
while that fails) the plugin is asked how it is and which key is its current one; another key means a new seed. A seed
that has not been confirmed for three minutes writes nothing any more, because its key may have been revoked. Reading
needs one call for each seed that is met for the first time. All numbers are upstream's.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from kajitori.apiserver.encryption.configuration import KmsSettings
from kajitori.apiserver.encryption.envelope import Seed, Wrapped, key_id_fault, packed, unpacked
from kajitori.apiserver.encryption.figures import EncryptionFigures
from kajitori.apiserver.encryption.kms_service import Plugin, PluginFailed
from kajitori.apiserver.encryption.providers import CannotSeal, Locked, WrongKey
from kajitori.kit.clock import Clock

log = logging.getLogger(__name__)

ASK_S, ASK_AGAIN_S = 60.0, 10.0
WRITES_FOR_S = 180.0
WELL_FOR_S, ILL_FOR_S = 20.0, 3.0
"""How long an answer about the plugin's health holds."""
_VERSIONS = ("v2", "v2beta1")
_SEEDS_MAX = 4096
"""Seeds in memory, one for each start of a server and each key; the one used longest ago goes."""


@dataclass(frozen=True, slots=True)
class _Current:
    """What is written with, until `until_s` (monotonic)."""

    seed: Seed
    wrap: Wrapped
    until_s: float


class KmsProvider:
    """`begin` before the first use, `close` after the last."""

    def __init__(self, settings: KmsSettings, plugin: Plugin, clock: Clock, figures: EncryptionFigures) -> None:
        self.name = settings.name
        self.prefix = settings.prefix
        self.on_rotated: Callable[[], None] = lambda: None
        """Called when values that were up to date are not any more."""
        self._clock = clock
        self._figures = figures
        self._plugin = plugin
        self._current: _Current | None = None
        self._version = ""
        self._trouble = "it has not answered yet"
        self._asked_s = -ASK_S
        self._asking = asyncio.Lock()
        self._seeds: OrderedDict[Wrapped, Seed] = OrderedDict()
        self._unlocking: dict[Wrapped, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None

    # provider

    def seal(self, value: bytes, place: bytes) -> bytes:
        current = self._current
        if current is None:
            raise CannotSeal(f"the KMS plugin {self.name} has never been ready: {self._trouble}: look at the plugin")
        if self._clock.monotonic() > current.until_s:
            raise CannotSeal(
                f"the KMS plugin {self.name} has not confirmed its key for {WRITES_FOR_S:.0f} s: {self._trouble}: "
                "look at the plugin"
            )
        self._figures.key_used("to_storage", self.name, current.wrap.key_id)
        return packed(current.wrap, current.seed.seal(value, place))

    def open(self, sealed: bytes, place: bytes) -> bytes:
        wrap, data = unpacked(sealed)
        seed = self._seeds.get(wrap)
        if seed is None:
            raise Locked(lambda: self._unlock(wrap))
        self._figures.key_used("from_storage", self.name, wrap.key_id)
        return seed.open(data, place)

    def is_current(self, sealed: bytes) -> bool:
        current = self._current
        if current is None:
            return True
        try:
            wrap, _ = unpacked(sealed)
        except WrongKey:
            return False
        return wrap.key_id == current.wrap.key_id and not wrap.direct

    async def _unlock(self, wrap: Wrapped) -> None:
        """Ask for a seed, once for all who wait for it. Raises WrongKey."""
        task = self._unlocking.get(wrap)
        if task is None:
            task = self._unlocking[wrap] = asyncio.create_task(self._decrypt(wrap))
            task.add_done_callback(lambda done: self._unlocked(wrap, done))
        await asyncio.shield(task)

    def _unlocked(self, wrap: Wrapped, done: "asyncio.Task[None]") -> None:
        del self._unlocking[wrap]
        if not done.cancelled():
            done.exception()  # when all who waited have gone away, nobody else looks at it

    async def _decrypt(self, wrap: Wrapped) -> None:
        self._figures.missed()
        try:
            secret = await self._plugin.decrypt(wrap)
        except PluginFailed as error:
            raise WrongKey(f"the KMS plugin {self.name} cannot decrypt its seed: {error}") from error
        self._keep(wrap, Seed(secret, direct=wrap.direct))

    def _keep(self, wrap: Wrapped, seed: Seed) -> None:
        self._seeds[wrap] = seed
        if len(self._seeds) > _SEEDS_MAX:
            self._seeds.popitem(last=False)
        self._figures.seeds(self.name, len(self._seeds))

    # the plugin's health

    async def begin(self) -> None:
        """Ask once, so that a plugin that is there can be used at once; then go on asking."""
        await self.ask()
        self._task = asyncio.create_task(self._run(), name=f"KMS plugin {self.name}")

    async def close(self) -> None:
        for task in (self._task, *self._unlocking.values()):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        await self._plugin.close()

    async def health(self) -> str:
        """Why it is ill; "" when it is well."""
        holds_s = ILL_FOR_S if self._trouble else WELL_FOR_S
        if self._clock.monotonic() - self._asked_s >= holds_s:
            await self.ask()
        return self._trouble

    async def _run(self) -> None:
        while True:
            await self._clock.sleep(ASK_AGAIN_S if self._trouble else ASK_S)
            await self.ask()

    async def ask(self) -> None:
        async with self._asking:
            before = self._trouble
            try:
                await self._confirm()
                self._trouble = ""
            except PluginFailed as error:
                self._trouble = str(error)
            self._asked_s = self._clock.monotonic()
            if self._trouble and self._trouble != before:
                log.error("KMS plugin %s: %s", self.name, self._trouble)
            elif before and not self._trouble:
                log.info("KMS plugin %s: ready", self.name)

    async def _confirm(self) -> None:
        """Raises PluginFailed when the plugin is not well, or its key cannot be used."""
        status = await self._plugin.status()
        if status.version not in _VERSIONS or (self._version and status.version != self._version):
            wanted = self._version or _VERSIONS[0]
            raise PluginFailed(f"it speaks version {status.version!r} of the API, it must be {wanted!r}")
        self._version = status.version
        if fault := key_id_fault(status.key_id):
            self._figures.invalid_key_id(self.name, "too_long" if status.key_id else "empty")
            raise PluginFailed(fault)
        self._figures.key_told(self.name, status.key_id)
        await self._write_with(status.key_id)
        if status.healthz != "ok":
            raise PluginFailed(f"it says that it is not well: {status.healthz[:200]}")

    async def _write_with(self, key_id: str) -> None:
        until_s = self._clock.monotonic() + WRITES_FOR_S
        current = self._current
        if current is not None and current.wrap.key_id == key_id:
            self._current = replace(current, until_s=until_s)
            return
        secret, began_s = Seed.new_secret(), self._clock.monotonic()
        try:
            wrap = await self._plugin.encrypt(secret)
        except PluginFailed:
            self._figures.seed_failed()
            raise
        if fault := wrap.fault():
            raise PluginFailed(f"it encrypted a seed, but {fault}")
        if wrap.key_id != key_id:
            raise PluginFailed("it encrypted a seed with another key than the one it says is current")
        self._figures.seed_made(self._clock.monotonic() - began_s)
        seed = Seed(secret)
        self._keep(wrap, seed)
        self._current = _Current(seed, wrap, until_s)
        if current is not None:
            log.info("KMS plugin %s: another key is current; new values are encrypted with it", self.name)
            self.on_rotated()
