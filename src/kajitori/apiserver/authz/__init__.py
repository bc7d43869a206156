"""Whether they may: RBAC, the node authorizer, and the reviews by which a client asks beforehand."""
