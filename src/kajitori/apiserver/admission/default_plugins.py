"""The plugins that are on by default, in upstream's order."""

import random

from kajitori.apiserver.admission.certificates import (
    CertificateApproval,
    CertificateSigning,
    CertificateSubjectRestriction,
)
from kajitori.apiserver.admission.ingresses import DefaultIngressClass
from kajitori.apiserver.admission.limit_ranges import LimitRanger
from kajitori.apiserver.admission.namespaces import NamespaceLifecycle
from kajitori.apiserver.admission.nodes import NodeRestriction, TaintNodesByCondition
from kajitori.apiserver.admission.plugin import Chain
from kajitori.apiserver.admission.pod_security import PodSecurity
from kajitori.apiserver.admission.pods import DefaultTolerationSeconds, Priority, RuntimeClass
from kajitori.apiserver.admission.quotas import QuotaLedger, ResourceQuota
from kajitori.apiserver.admission.service_accounts import ServiceAccount
from kajitori.apiserver.admission.volumes import (
    DefaultStorageClass,
    PersistentVolumeClaimResize,
    StorageObjectInUseProtection,
)
from kajitori.apiserver.admission.webhooks import Caller, MutatingWebhooks, ValidatingWebhooks
from kajitori.apiserver.interfaces import Authorizer, Objects
from kajitori.kit.clock import Clock


def default_plugins(
    objects: Objects,
    authorizer: Authorizer,
    ledger: QuotaLedger,
    webhooks: Caller,
    clock: Clock,
    rng: random.Random,
) -> Chain:
    return Chain(
        [
            NamespaceLifecycle(objects),
            LimitRanger(objects),
            ServiceAccount(objects, clock, rng),
            NodeRestriction(objects),
            TaintNodesByCondition(),
            PodSecurity(objects),
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
            MutatingWebhooks(objects, webhooks),
            ValidatingWebhooks(objects, webhooks),
            ResourceQuota(objects, ledger),
        ]
    )
