"""What an update of a service takes along."""

import pytest

from kajitori.api.services import prepare_service_update

BALANCED = {"type": "LoadBalancer", "loadBalancerClass": "e.x/c", "allocateLoadBalancerNodePorts": True, "ports": []}


@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort"])
def test_the_class_of_a_load_balancer_goes_with_its_type(kind):
    new = {"spec": {**BALANCED, "type": kind}}
    prepare_service_update(new, {"spec": BALANCED})
    assert "loadBalancerClass" not in new["spec"] and "allocateLoadBalancerNodePorts" not in new["spec"]


def test_a_class_that_is_said_anew_is_left_to_be_refused():
    new = {"spec": {**BALANCED, "type": "ClusterIP", "loadBalancerClass": "e.x/d"}}
    prepare_service_update(new, {"spec": BALANCED})
    assert new["spec"]["loadBalancerClass"] == "e.x/d"
