"""The kinds of admissionregistration.k8s.io."""

from kajitori.api.columns import extensions as extensions_columns
from kajitori.api.defaults import extensions
from kajitori.api.defaults.status import begin_with, keep_status
from kajitori.api.resource import Resource, Subresource
from kajitori.api.validation import admission, admission_policies, statuses
from kajitori.api.warnings import extensions as extensions_warnings

MUTATING_ADMISSION_POLICY = Resource(
    group="admissionregistration.k8s.io",
    version="v1",
    kind="MutatingAdmissionPolicy",
    plural="mutatingadmissionpolicies",
    namespaced=False,
    categories=("api-extensions",),
    definition="io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicy",
    columns=extensions_columns.MUTATING_POLICY,
    default=extensions.default_admission_policy,
    validate=admission_policies.validate_mutating_policy,
    counts_generation=True,
    warnings=extensions_warnings.static_name_warnings,
)

MUTATING_ADMISSION_POLICY_BINDING = Resource(
    group="admissionregistration.k8s.io",
    version="v1",
    kind="MutatingAdmissionPolicyBinding",
    plural="mutatingadmissionpolicybindings",
    namespaced=False,
    categories=("api-extensions",),
    definition="io.k8s.api.admissionregistration.v1.MutatingAdmissionPolicyBinding",
    columns=extensions_columns.POLICY_BINDING,
    default=extensions.default_admission_policy_binding,
    validate=admission_policies.validate_mutating_policy_binding,
    counts_generation=True,
    warnings=extensions_warnings.static_name_warnings,
)

MUTATING_WEBHOOK_CONFIGURATION = Resource(
    group="admissionregistration.k8s.io",
    version="v1",
    kind="MutatingWebhookConfiguration",
    plural="mutatingwebhookconfigurations",
    namespaced=False,
    categories=("api-extensions",),
    definition="io.k8s.api.admissionregistration.v1.MutatingWebhookConfiguration",
    columns=extensions_columns.WEBHOOKS,
    default=extensions.default_mutating_webhooks,
    validate=admission.validate_webhooks,
    counts_generation=True,
    warnings=extensions_warnings.static_name_warnings,
)

VALIDATING_ADMISSION_POLICY = Resource(
    group="admissionregistration.k8s.io",
    version="v1",
    kind="ValidatingAdmissionPolicy",
    plural="validatingadmissionpolicies",
    namespaced=False,
    categories=("api-extensions",),
    subresources=(
        Subresource(name="status", verbs=("get", "patch", "update"), validate_update=statuses.validate_policy_status),
    ),
    definition="io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicy",
    columns=extensions_columns.VALIDATING_POLICY,
    default=extensions.default_admission_policy,
    validate=admission_policies.validate_validating_policy,
    prepare_create=begin_with({}),
    prepare_update=keep_status,
    counts_generation=True,
    warnings=extensions_warnings.static_name_warnings,
)

VALIDATING_ADMISSION_POLICY_BINDING = Resource(
    group="admissionregistration.k8s.io",
    version="v1",
    kind="ValidatingAdmissionPolicyBinding",
    plural="validatingadmissionpolicybindings",
    namespaced=False,
    categories=("api-extensions",),
    definition="io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicyBinding",
    columns=extensions_columns.POLICY_BINDING,
    default=extensions.default_admission_policy_binding,
    validate=admission_policies.validate_policy_binding,
    counts_generation=True,
    warnings=extensions_warnings.static_name_warnings,
)

VALIDATING_WEBHOOK_CONFIGURATION = Resource(
    group="admissionregistration.k8s.io",
    version="v1",
    kind="ValidatingWebhookConfiguration",
    plural="validatingwebhookconfigurations",
    namespaced=False,
    categories=("api-extensions",),
    definition="io.k8s.api.admissionregistration.v1.ValidatingWebhookConfiguration",
    columns=extensions_columns.WEBHOOKS,
    default=extensions.default_validating_webhooks,
    validate=admission.validate_webhooks,
    counts_generation=True,
    warnings=extensions_warnings.static_name_warnings,
)

RESOURCES = (
    MUTATING_ADMISSION_POLICY,
    MUTATING_ADMISSION_POLICY_BINDING,
    MUTATING_WEBHOOK_CONFIGURATION,
    VALIDATING_ADMISSION_POLICY,
    VALIDATING_ADMISSION_POLICY_BINDING,
    VALIDATING_WEBHOOK_CONFIGURATION,
)
