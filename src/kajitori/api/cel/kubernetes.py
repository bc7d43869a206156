"""The environment that expressions of Kubernetes 1.36 have, whichever part of it they are in."""

from collections.abc import Mapping
from functools import cache

from kajitori.api.cel.environment import Environment
from kajitori.api.cel.functions import Library
from kajitori.api.cel.library.addresses import ADDRESSES, URLS
from kajitori.api.cel.library.authorizer import AUTHORIZATION
from kajitori.api.cel.library.conversions import CONVERSIONS
from kajitori.api.cel.library.formats import NAMED_FORMATS
from kajitori.api.cel.library.kubernetes import JSON_PATCHES, QUANTITIES, REGEXES, SEMVERS
from kajitori.api.cel.library.lists import LISTS
from kajitori.api.cel.library.optionals import OPTIONALS
from kajitori.api.cel.library.standard import STANDARD
from kajitori.api.cel.library.strings import STRINGS
from kajitori.api.cel.types import Declared, Type


@cache
def library(*, patches: bool = False) -> Library:
    return Library.of(
        *(STANDARD, CONVERSIONS, STRINGS, LISTS, OPTIONALS, QUANTITIES, SEMVERS, REGEXES),
        *(ADDRESSES, URLS, NAMED_FORMATS, AUTHORIZATION),
        *((JSON_PATCHES,) if patches else ()),
    )


def kubernetes_environment(variables: Mapping[str, Type | Declared], *constructed: Declared) -> Environment:
    """`constructed` are the object types that expressions may make: `mutation.MUTATION_TYPES`. Only who makes patches
    has what helps with their paths."""
    return Environment.of(library(patches=bool(constructed)), variables, *constructed)
