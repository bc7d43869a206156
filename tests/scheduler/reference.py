"""The default profile again, plainly: one node at a time, counted from scratch, straight from the rules' prose.

Slow and without arrays on purpose: what the scheduler decides must be what this decides.
"""

from math import floor, log

ZONE, HOSTNAME = "topology.kubernetes.io/zone", "kubernetes.io/hostname"


def amounts(pod):
    requests = pod["spec"]["containers"][0]["resources"]["requests"]
    cpu, memory = requests.get("cpu", "0"), requests.get("memory", "0Mi")
    return int(cpu.removesuffix("m")), int(memory.removesuffix("Mi")) << 20


def scored_amounts(pod):
    requests = pod["spec"]["containers"][0]["resources"]["requests"]
    cpu, memory = amounts(pod)
    return cpu if "cpu" in requests else 100, memory if "memory" in requests else 200 << 20


def selects(term, owner, pod):
    if pod["metadata"]["namespace"] != owner["metadata"]["namespace"]:
        return False
    wanted = term["labelSelector"]["matchLabels"]
    return all(pod["metadata"]["labels"].get(k) == v for k, v in wanted.items())


def terms(pod, kind, when="requiredDuringSchedulingIgnoredDuringExecution"):
    return pod["spec"].get("affinity", {}).get(kind, {}).get(when, [])


class Reference:
    """`nodes` by name, and for each the pods there."""

    def __init__(self, nodes, running):
        self.nodes = nodes
        self.running = running

    def label(self, name, key):
        return self.nodes[name]["metadata"]["labels"].get(key)

    def tolerated(self, pod, name, effects):
        taints = [t for t in self.nodes[name]["spec"].get("taints", []) if t["effect"] in effects]
        keys = [t["key"] for t in pod["spec"].get("tolerations", [])]
        return sum(t["key"] not in keys for t in taints)

    def in_domain(self, name, key):
        value = self.label(name, key)
        return [] if value is None else [n for n in self.nodes if self.label(n, key) == value]

    def pods_in_domain(self, name, key):
        return [p for n in self.in_domain(name, key) for p in self.running[n]]

    def refusal(self, pod, name):
        """The first filter's reasons, or nothing."""
        checks = (self.cordon, self.taints, self.selector, self.resources, self.spread, self.affinity)
        return next((reasons for check in checks if (reasons := check(pod, name))), [])

    def cordon(self, pod, name):
        return ["node(s) were unschedulable"] if self.nodes[name]["spec"].get("unschedulable") else []

    def taints(self, pod, name):
        return ["node(s) had untolerated taint(s)"] if self.tolerated(pod, name, ("NoSchedule",)) else []

    def selector(self, pod, name):
        wanted = pod["spec"].get("nodeSelector", {})
        matches = all(self.label(name, k) == v for k, v in wanted.items())
        return [] if matches else ["node(s) didn't match Pod's node affinity/selector"]

    def resources(self, pod, name):
        room, there = self.nodes[name]["status"]["allocatable"], self.running[name]
        reasons = ["Too many pods"] if len(there) + 1 > int(room["pods"]) else []
        (cpu, memory), used = amounts(pod), [amounts(p) for p in there]
        if cpu and sum(c for c, _ in used) + cpu > int(room["cpu"]) * 1000:
            reasons.append("Insufficient cpu")
        if memory and sum(m for _, m in used) + memory > int(room["memory"].removesuffix("Gi")) << 30:
            reasons.append("Insufficient memory")
        return reasons

    def spread(self, pod, name):
        hard = [c for c in pod["spec"].get("topologySpreadConstraints", []) if c["whenUnsatisfiable"][0] == "D"]
        for c in hard:
            key = c["topologyKey"]
            if self.label(name, key) is None:
                return ["node(s) didn't match pod topology spread constraints (missing required label)"]
            counts = self.spread_counts(pod, c, [x["topologyKey"] for x in hard])
            least = min(counts.values(), default=2**31)
            itself = selects(c, pod, pod)
            if counts.get(self.label(name, key), 0) + itself - least > c["maxSkew"]:
                return ["node(s) didn't match pod topology spread constraints"]
        return []

    def spread_counts(self, pod, constraint, keys):
        counts = {}
        for n in self.nodes:
            if all(self.label(n, k) is not None for k in keys) and not self.selector(pod, n):
                value = self.label(n, constraint["topologyKey"])
                counts[value] = counts.get(value, 0) + sum(selects(constraint, pod, p) for p in self.running[n])
        return counts

    def affinity(self, pod, name):
        required = terms(pod, "podAffinity")
        if required and not self.has_company(pod, name, required):
            return ["node(s) didn't match pod affinity rules"]
        for term in terms(pod, "podAntiAffinity"):
            if any(selects(term, pod, p) for p in self.pods_in_domain(name, term["topologyKey"])):
                return ["node(s) didn't match pod anti-affinity rules"]
        for other, n in self.everyone():
            for term in terms(other, "podAntiAffinity"):
                if selects(term, other, pod) and n in self.in_domain(name, term["topologyKey"]):
                    return ["node(s) didn't satisfy existing pods anti-affinity rules"]
        return []

    def everyone(self):
        return [(pod, name) for name, pods in self.running.items() for pod in pods]

    def has_company(self, pod, name, required):
        if any(self.label(name, t["topologyKey"]) is None for t in required):
            return False
        wanted = [(p, n) for p, n in self.everyone() if all(selects(t, pod, p) for t in required)]
        if all(any(n in self.in_domain(name, t["topologyKey"]) for _, n in wanted) for t in required):
            return True
        anywhere = any(self.label(n, t["topologyKey"]) is not None for _, n in wanted for t in required)
        return not anywhere and all(selects(t, pod, pod) for t in required)

    def decide(self, pod):
        """The best nodes, or how many nodes were refused for each reason."""
        refusals = {name: self.refusal(pod, name) for name in self.nodes}
        feasible = [name for name, reasons in refusals.items() if not reasons]
        if not feasible:
            reasons = [reason for found in refusals.values() for reason in found]
            return set(), {reason: reasons.count(reason) for reason in reasons}
        if len(feasible) == 1:
            return set(feasible), {}
        parts = (self.soft_taints, self.least, self.soft_spread, self.soft_affinity, self.balance)
        scores = [part(pod, feasible) for part in parts]
        total = {name: sum(score[name] for score in scores) for name in feasible}
        return {name for name in feasible if total[name] == max(total.values())}, {}

    def soft_taints(self, pod, feasible):
        raw = {n: self.tolerated(pod, n, ("PreferNoSchedule",)) for n in feasible}
        most = max(raw.values())
        return {n: 3 * (100 - (raw[n] * 100 // most if most else 0)) for n in feasible}

    def shares(self, pod, name, of):
        room = self.nodes[name]["status"]["allocatable"]
        rooms = int(room["cpu"]) * 1000, int(room["memory"].removesuffix("Gi")) << 30
        return [(sum(of(p)[i] for p in [*self.running[name], pod]), rooms[i]) for i in (0, 1)]

    def least(self, pod, feasible):
        def score(name):
            return sum(max(r - u, 0) * 100 // r for u, r in self.shares(pod, name, scored_amounts)) // 2

        return {n: score(n) for n in feasible}

    def balance(self, pod, feasible):
        if not any(amounts(pod)):
            return dict.fromkeys(feasible, 0)

        def score(name):
            cpu, memory = (min(u / r, 1) for u, r in self.shares(pod, name, amounts))
            return floor((1 - abs((cpu - memory) / 2)) * 100)

        return {n: score(n) for n in feasible}

    def soft_spread(self, pod, feasible):
        soft = [c for c in pod["spec"].get("topologySpreadConstraints", []) if c["whenUnsatisfiable"][0] == "S"]
        keys = [c["topologyKey"] for c in soft]
        able = [n for n in feasible if all(self.label(n, k) is not None for k in keys)]
        if not soft or not able:
            return dict.fromkeys(feasible, 0)
        raw = {n: round(sum(self.crowd(pod, c, keys, n, able) for c in soft)) for n in able}
        least, most = min(raw.values()), max(raw.values())
        scores = {n: 100 * (most + least - raw[n]) // most if most else 100 for n in able}
        return {n: 2 * scores.get(n, 0) for n in feasible}

    def crowd(self, pod, c, keys, name, able):
        key = c["topologyKey"]
        if key == HOSTNAME:
            count, domains = sum(selects(c, pod, p) for p in self.running[name]), len(able)
        else:
            count = self.spread_counts(pod, c, keys)[self.label(name, key)]
            domains = len({self.label(n, key) for n in able})
        return count * log(domains + 2) + c["maxSkew"] - 1

    def soft_affinity(self, pod, feasible):
        raw = dict.fromkeys(feasible, 0)
        for name in feasible:
            for other, n in self.everyone():
                for owner, target, term, weight in self.preferences(pod, other):
                    if selects(term, owner, target) and n in self.in_domain(name, term["topologyKey"]):
                        raw[name] += weight
        least, most = min(raw.values()), max(raw.values())
        return {n: 2 * floor(100 * ((raw[n] - least) / (most - least))) if most > least else 0 for n in feasible}

    def preferences(self, pod, other):
        preferred = "preferredDuringSchedulingIgnoredDuringExecution"
        for owner, target in ((pod, other), (other, pod)):
            for kind, sign in (("podAffinity", 1), ("podAntiAffinity", -1)):
                for t in terms(owner, kind, preferred):
                    yield owner, target, t["podAffinityTerm"], sign * t["weight"]
        for term in terms(other, "podAffinity"):
            yield other, pod, term, 1
