"""What every namespace begins with: the `default` service account and the cluster's root certificate."""

from kajitori.api.core import CONFIG_MAP, SERVICE_ACCOUNT
from kajitori.api.meta import Object, ObjectKey
from kajitori.controllers.namespace import InEveryNamespace

ROOT_CA_NAME = "kube-root-ca.crt"
_DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)


class ServiceAccountController(InEveryNamespace):
    name = "service-account-controller"
    resource = SERVICE_ACCOUNT
    wanted_name = "default"

    def wanted(self) -> Object:
        return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": self.wanted_name}}


class RootCAPublisher(InEveryNamespace):
    name = "root-ca-certificate-publisher-controller"
    resource = CONFIG_MAP
    wanted_name = ROOT_CA_NAME

    def wanted(self) -> Object:
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": ROOT_CA_NAME, "annotations": {"kubernetes.io/description": _DESCRIPTION}},
            "data": {"ca.crt": self.context.settings.root_ca_pem},
        }

    async def reconcile(self, key: ObjectKey) -> float | None:
        return await super().reconcile(key) if self.context.settings.root_ca_pem else None
