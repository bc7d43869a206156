"""From what an EncryptionConfiguration says of a KMS plugin to a provider that asks it; gRPC is imported only then."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from kajitori.apiserver.configuration import BadConfiguration
from kajitori.apiserver.encryption.configuration import KmsSettings
from kajitori.apiserver.encryption.figures import EncryptionFigures
from kajitori.kit.clock import Clock

if TYPE_CHECKING:  # it needs gRPC
    from kajitori.apiserver.encryption.kms import KmsProvider


def kms_providers(clock: Clock, figures: EncryptionFigures) -> Callable[[KmsSettings], "KmsProvider"]:
    """What `read_encryption` takes. Raises BadConfiguration without gRPC."""

    def provider(settings: KmsSettings) -> "KmsProvider":
        try:
            from kajitori.apiserver.encryption.kms import KmsProvider
            from kajitori.apiserver.encryption.kms_service import GrpcPlugin
        except ImportError as error:
            raise BadConfiguration(f"kms {settings.name}: needs a package: pip install 'kajitori[kms]'") from error

        def observe(method: str, duration_s: float, outcome: str) -> None:
            figures.called(settings.name, method, duration_s, outcome)

        plugin = GrpcPlugin(settings.address, settings.timeout_s, clock.monotonic, observe)
        return KmsProvider(settings, plugin, clock, figures)

    return provider
