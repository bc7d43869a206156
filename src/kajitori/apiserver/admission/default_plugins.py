"""The plugins that are on by default, in upstream's order."""

import random

from kajitori.apiserver.admission.certificates import (
    CertificateApproval,
    CertificateSigning,
    CertificateSubjectRestriction,
)
from kajitori.apiserver.admission.ingresses import DefaultIngressClass
from kajitori.apiserver.admission.limit_ranges import LimitRanger
from kajitori.apiserver.admission.mutating_policies import MutatingPolicies
from kajitori.apiserver.admission.namespaces import NamespaceLifecycle
from kajitori.apiserver.admission.nodes import NodeRestriction, TaintNodesByCondition
from kajitori.apiserver.admission.plugin import Chain
from kajitori.apiserver.admission.pod_security import PodSecurity
from kajitori.apiserver.admission.pods import DefaultTolerationSeconds, Priority, RuntimeClass
from kajitori.apiserver.admission.quotas import QuotaLedger, ResourceQuota
from kajitori.apiserver.admission.scene import Surroundings
from kajitori.apiserver.admission.service_accounts import ServiceAccount
from kajitori.apiserver.admission.validating_policies import ValidatingPolicies
from kajitori.apiserver.admission.volumes import (
    DefaultStorageClass,
    PersistentVolumeClaimResize,
    StorageObjectInUseProtection,
)
from kajitori.apiserver.admission.webhook_calls import Caller
from kajitori.apiserver.admission.webhooks import MutatingWebhooks, ValidatingWebhooks


def default_plugins(around: Surroundings, ledger: QuotaLedger, webhooks: Caller, rng: random.Random) -> Chain:
    objects, authorizer, clock = around.objects, around.authorizer, around.clock
    return Chain(
        [
            NamespaceLifecycle(objects),
            LimitRanger(objects),
            ServiceAccount(objects, clock, rng),
            NodeRestriction(objects),
            TaintNodesByCondition(),
            PodSecurity(objects, around.figures),
            Priority(objects),
            DefaultTolerationSeconds(),
            DefaultStorageClass(objects),
            StorageObjectInUseProtection(),
            PersistentVolumeClaimResize(objects),
            RuntimeClass(objects),
            CertificateApproval(authorizer),
            CertificateSigning(authorizer),
            CertificateSubjectRestriction(),
            DefaultIngressClass(objects),
            MutatingPolicies(around),
            MutatingWebhooks(around, webhooks),
            ValidatingPolicies(around),
            ValidatingWebhooks(around, webhooks),
            ResourceQuota(objects, ledger),
        ],
        around.figures.steps,
    )
