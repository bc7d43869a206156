"""The plugins of the default profile, in the order in which a refusal is attributed (upstream's)."""

from kajitori.scheduler.framework import Filter, Score
from kajitori.scheduler.plugins.node import ImageLocality, NodeAffinity, NodeName, NodePorts, NodeUnschedulable
from kajitori.scheduler.plugins.pod_affinity import InterPodAffinity
from kajitori.scheduler.plugins.resources import BalancedAllocation, ResourcesFit
from kajitori.scheduler.plugins.spread import PodTopologySpread
from kajitori.scheduler.plugins.taints import TaintToleration
from kajitori.scheduler.plugins.volumes import VolumeBinding

FILTERS: tuple[type[Filter], ...] = (
    NodeUnschedulable,
    NodeName,
    TaintToleration,
    NodeAffinity,
    NodePorts,
    ResourcesFit,
    VolumeBinding,
    PodTopologySpread,
    InterPodAffinity,
)

SCORES: tuple[type[Score], ...] = (
    TaintToleration,
    NodeAffinity,
    ResourcesFit,
    PodTopologySpread,
    InterPodAffinity,
    BalancedAllocation,
    ImageLocality,
)
