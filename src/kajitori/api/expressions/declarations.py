"""The variables of admission expressions and their types.

Source: "Validating Admission Policy" and "Mutating Admission Policy" (CEL variables), AdmissionRequest of
admission.k8s.io/v1.
"""

from functools import lru_cache

from kajitori.api.cel import types
from kajitori.api.cel.environment import Environment
from kajitori.api.cel.kubernetes import kubernetes_environment
from kajitori.api.cel.library.authorizer import AUTHORIZER as AUTHORIZER_TYPE
from kajitori.api.cel.library.authorizer import RESOURCE_CHECK
from kajitori.api.cel.mutation import MUTATION_TYPES
from kajitori.api.cel.types import Declared, Field, Type, list_of, map_of

OBJECT, OLD_OBJECT, REQUEST, PARAMS = "object", "oldObject", "request", "params"
NAMESPACE, AUTHORIZER, REQUEST_RESOURCE = "namespaceObject", "authorizer", "authorizer.requestResource"
VARIABLES = "variables"

_BOOL, _INT, _STRING, _DYN, _TIME = map(Declared, (types.BOOL, types.INT, types.STRING, types.DYN, types.TIMESTAMP))


def object_of(type_name: str, /, **fields: Declared) -> Declared:
    return Declared(Type("object", type_name), fields={key: Field(each, key) for key, each in fields.items()})


def _list(element: Declared) -> Declared:
    return Declared(list_of(element.type), element=element)


def _map(value: Declared) -> Declared:
    return Declared(map_of(types.STRING, value.type), key=_STRING, element=value)


_KIND = object_of("kubernetes.GroupVersionKind", group=_STRING, version=_STRING, kind=_STRING)
_RESOURCE = object_of("kubernetes.GroupVersionResource", group=_STRING, version=_STRING, resource=_STRING)
_USER = object_of(
    "kubernetes.UserInfo", username=_STRING, uid=_STRING, groups=_list(_STRING), extra=_map(_list(_STRING))
)
REQUEST_TYPE = object_of(
    "kubernetes.AdmissionRequest",
    kind=_KIND,
    resource=_RESOURCE,
    subResource=_STRING,
    requestKind=_KIND,
    requestResource=_RESOURCE,
    requestSubResource=_STRING,
    name=_STRING,
    namespace=_STRING,
    operation=_STRING,
    userInfo=_USER,
    dryRun=_BOOL,
    options=_DYN,
)
_CONDITION = object_of(
    "kubernetes.NamespaceCondition",
    status=_STRING,
    type=_STRING,
    lastTransitionTime=_TIME,
    message=_STRING,
    reason=_STRING,
)
_METADATA = object_of(
    "kubernetes.NamespaceMetadata",
    name=_STRING,
    generateName=_STRING,
    namespace=_STRING,
    labels=_map(_STRING),
    annotations=_map(_STRING),
    UID=_STRING,
    creationTimestamp=_TIME,
    deletionGracePeriodSeconds=_INT,
    deletionTimestamp=_TIME,
    generation=_INT,
    resourceVersion=_STRING,
    finalizers=_list(_STRING),
)
NAMESPACE_TYPE = object_of(
    "kubernetes.Namespace",
    metadata=_METADATA,
    spec=object_of("kubernetes.NamespaceSpec", finalizers=_list(_STRING)),
    status=object_of("kubernetes.NamespaceStatus", conditions=_list(_CONDITION), phase=_STRING),
)
"""What of a Namespace expressions see. The fields are upstream's, `UID` included."""


def environment(
    *,
    params: Declared | bool,
    authorizer: bool = True,
    patches: bool = False,
    variables: Declared | None = None,
    subject: Declared | None = None,
) -> Environment:
    """`params` False: there are none to speak of. `subject` is the type of object and oldObject where it is known;
    `variables` an object type with a field for each of the policy's own."""
    if isinstance(params, bool) and variables is None and subject is None:
        return _shared(params, authorizer, patches)
    return _made(params, authorizer, patches, variables, subject)


@lru_cache(maxsize=8)
def _shared(params: bool, authorizer: bool, patches: bool) -> Environment:
    return _made(params, authorizer, patches, None, None)


def _made(
    params: Declared | bool, authorizer: bool, patches: bool, variables: Declared | None, subject: Declared | None
) -> Environment:
    declared: dict[str, Type | Declared] = {
        OBJECT: subject or types.DYN,
        OLD_OBJECT: subject or types.DYN,
        REQUEST: REQUEST_TYPE,
        NAMESPACE: NAMESPACE_TYPE,
    }
    if params:
        declared[PARAMS] = params if isinstance(params, Declared) else types.DYN
    if authorizer:
        declared |= {AUTHORIZER: AUTHORIZER_TYPE, REQUEST_RESOURCE: RESOURCE_CHECK}
    if variables is not None:
        declared[VARIABLES] = variables
    return kubernetes_environment(declared, *(MUTATION_TYPES if patches else ()))
