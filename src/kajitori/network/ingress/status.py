"""Telling users where their Ingress is served: status.loadBalancer.ingress."""

import logging
from collections.abc import Iterable

from kajitori.api.errors import NotFound, StatusError
from kajitori.api.meta import Object, key_of, name_of, namespace_of
from kajitori.api.networking import INGRESS
from kajitori.client.interface import Client, Disconnected, PatchType

logger = logging.getLogger(__name__)


def wanted_status(addresses: Iterable[str]) -> list[Object]:
    return [{"ip": address} for address in addresses]


def has_status(ingress: Object, wanted: list[Object]) -> bool:
    found = ((ingress.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    return [{"ip": entry.get("ip")} for entry in found] == wanted


async def write_status(client: Client, ingresses: Iterable[Object], addresses: Iterable[str]) -> bool:
    """Patch those that say otherwise; returns whether all could be written."""
    wanted, complete = wanted_status(addresses), True
    for ingress in ingresses:
        if has_status(ingress, wanted):
            continue
        try:
            await client.patch(
                INGRESS,
                name_of(ingress),
                {"status": {"loadBalancer": {"ingress": wanted}}},
                namespace_of(ingress),
                patch_type=PatchType.MERGE,
                subresource="status",
            )
        except NotFound:
            continue
        except (StatusError, Disconnected) as error:
            logger.info("status of Ingress %s: %s", key_of(ingress), error)
            complete = False
    return complete
