"""The plugins of the default profile, in the order in which a refusal is attributed (upstream's)."""

from kajitori.scheduler.framework import Filter, Score
from kajitori.scheduler.plugins.images import ImageLocality
from kajitori.scheduler.plugins.node import NodeAffinity, NodeName, NodeUnschedulable
from kajitori.scheduler.plugins.pod_affinity import InterPodAffinity
from kajitori.scheduler.plugins.ports import NodePorts
from kajitori.scheduler.plugins.resources import BalancedAllocation, ResourcesFit
from kajitori.scheduler.plugins.spread import PodTopologySpread
from kajitori.scheduler.plugins.taints import TaintToleration
from kajitori.scheduler.plugins.volume_limits import NodeVolumeLimits, VolumeRestrictions, VolumeZone
from kajitori.scheduler.plugins.volumes import VolumeBinding

FILTERS: tuple[type[Filter], ...] = (
    NodeUnschedulable,
    NodeName,
    TaintToleration,
    NodeAffinity,
    NodePorts,
    ResourcesFit,
    VolumeRestrictions,
    NodeVolumeLimits,
    VolumeBinding,
    VolumeZone,
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
