"""What a deletion answers with."""

DOCUMENTED_AS_SHOWN = frozenset(
    {
        ("", "pods"),
        ("", "services"),
        ("", "persistentvolumeclaims"),
        ("", "persistentvolumes"),
        ("", "serviceaccounts"),
        ("", "resourcequotas"),
        ("", "podtemplates"),
        *(("resource.k8s.io", plural) for plural in ("deviceclasses", "devicetaintrules", "resourceslices")),
        *(("resource.k8s.io", plural) for plural in ("resourceclaims", "resourceclaimtemplates")),
        *(("storage.k8s.io", plural) for plural in ("csidrivers", "csinodes", "storageclasses")),
        *(("storage.k8s.io", plural) for plural in ("volumeattachments", "volumeattributesclasses")),
    }
)
"""Kinds (group and plural) whose deletion answers with the object; the OpenAPI documents say so."""
SHOWS_DELETED = DOCUMENTED_AS_SHOWN | {("", "namespaces")}
"""Those, and namespaces, of which the documents say otherwise; all others answer with a Status."""
