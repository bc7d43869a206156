"""The audit log as the flags ask for it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from kajitori.api.meta import Object
from kajitori.apiserver.audit.auditor import Auditor
from kajitori.apiserver.audit.event import json_line, legacy_line
from kajitori.apiserver.audit.log_file import LogFile, Rotation
from kajitori.apiserver.audit.policy import Policy
from kajitori.apiserver.audit.sinks import Batches, BatchFile, BlockingFile, Sink, Webhook
from kajitori.apiserver.audit.truncation import NO_LIMITS, Limits
from kajitori.apiserver.remote import ReviewCaller
from kajitori.kit.clock import Clock

BATCH, BLOCKING, STRICT = "batch", "blocking", "blocking-strict"
MODES = (BATCH, BLOCKING, STRICT)
FORMATS: dict[str, Callable[[Object], bytes]] = {"json": json_line, "legacy": legacy_line}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """`log_path` is "-" for the standard output, empty for no file."""

    policy: Policy
    log_path: str = ""
    mode: str = BATCH
    format: str = "json"
    rotation: Rotation = field(default_factory=Rotation)
    log_limits: Limits = NO_LIMITS
    webhook: Path | None = None
    batches: Batches = field(default_factory=Batches)
    webhook_limits: Limits = NO_LIMITS


def build_auditor(settings: AuditSettings, clock: Clock) -> Auditor:
    """Opens the file and starts what writes it. Raises BadConfiguration."""
    sinks: list[Sink] = []
    if settings.webhook is not None:
        caller = ReviewCaller(settings.webhook, clock)
        sinks.append(Webhook(caller, clock, settings.batches, settings.webhook_limits))
    if settings.log_path:
        file = LogFile(None if settings.log_path == "-" else Path(settings.log_path), settings.rotation)
        line, limits = FORMATS[settings.format], settings.log_limits
        if settings.mode == BATCH:
            sinks.append(BatchFile(file, line, clock, limits))
        else:
            sinks.append(BlockingFile(file, line, clock, strict=settings.mode == STRICT, limits=limits))
    return Auditor(settings.policy, sinks, clock)
