"""Paths that belong to no kind: discovery, the server's version, and the keys of its service account issuer."""

from collections.abc import Iterable, Iterator

from kajitori.api.openapi.operations import DOCUMENT, JSON, Operation, Path, group_name, identifier, prefix_of, tag_of

_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_VERSIONS = "get available API versions"


def _get(
    path: str,
    name: str,
    tag: str,
    description: str,
    gives: str = "",
    produces: tuple[str, ...] = DOCUMENT,
    consumes: tuple[str, ...] = DOCUMENT,
) -> Path:
    operation = Operation(
        method="get",
        id=f"get{name}",
        tag=tag,
        description=description,
        gives=gives,
        produces=produces,
        consumes=consumes,
    )
    return Path(f"/{path}/", (), (operation,))


_FIXED = {
    ".well-known/openid-configuration": _get(
        ".well-known/openid-configuration",
        "ServiceAccountIssuerOpenIDConfiguration",
        "WellKnown",
        "get the OpenID discovery document of the service account issuer",
        produces=(JSON,),
        consumes=(),
    ),
    "api": _get("api", "CoreAPIVersions", "core", _VERSIONS, f"{_META}APIVersions"),
    "apis": _get("apis", "APIVersions", "apis", _VERSIONS, f"{_META}APIGroupList"),
    "openid/v1/jwks": _get(
        "openid/v1/jwks",
        "ServiceAccountIssuerOpenIDKeyset",
        "openid",
        "get the public keys with which tokens of the service account issuer are verified",
        produces=("application/jwk-set+json",),
        consumes=(),
    ),
    "version": _get(
        "version",
        "CodeVersion",
        "version",
        "get the version information for this server",
        "io.k8s.apimachinery.pkg.version.Info",
        (JSON,),
        (JSON,),
    ),
}


def general_paths(groups: Iterable[str]) -> dict[str, Path]:
    """By the name of their version 3 document. `groups` are those whose own path is documented: not those of custom
    kinds."""
    return _FIXED | {f"apis/{group}": _of_group(group) for group in groups if group}


def _of_group(group: str) -> Path:
    name = group_name(group)
    tag, capital = identifier(name, capital=False), identifier(name, capital=True)
    return _get(f"apis/{group}", f"{capital}APIGroup", tag, "get information of a group", f"{_META}APIGroup")


def version_paths(versions: Iterable[tuple[str, str]]) -> Iterator[Path]:
    """Of groups and versions: the list of their resources."""
    for group, version in versions:
        path = f"apis/{group}/{version}" if group else f"api/{version}"
        name = f"{prefix_of(group, version)}APIResources"
        yield _get(path, name, tag_of(group, version), "get available resources", f"{_META}APIResourceList")
