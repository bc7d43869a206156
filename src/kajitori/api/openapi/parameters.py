"""Parameters of operations: name, place, type, and what they are for. Whether the description is the same decides what
may be shared, so that a parameter which means something else elsewhere is another parameter."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Parameter:
    """`place` is query or path."""

    name: str
    type: str
    description: str
    place: str = "query"

    @property
    def key(self) -> tuple[str, str]:
        """What it is told by, and the order in which parameters are listed."""
        return (self.name, self.place)


def _table(rows: Iterable[tuple[str, str, str]]) -> tuple[Parameter, ...]:
    return tuple(Parameter(*row) for row in rows)


PRETTY = Parameter("pretty", "string", "If 'true', then the output is pretty printed.")
NAMESPACE = Parameter("namespace", "string", "object name and auth scope, such as for teams and projects", "path")
REMAINING_PATH = Parameter("path", "string", "path to the resource", "path")
RESOURCE_VERSION = Parameter(
    "resourceVersion", "string", "Constrains which resource versions a request may be served from."
)
DRY_RUN = Parameter(
    "dryRun", "string", "When present, indicates that modifications should not be persisted. Valid value: All."
)
_FIELD_MANAGER = "fieldManager is a name associated with the actor that is making these changes."
_FIELD_VALIDATION = Parameter(
    "fieldValidation",
    "string",
    "What the server does with unknown or duplicate fields: Ignore, Warn (the default) or Strict.",
)
WRITING = (DRY_RUN, Parameter("fieldManager", "string", _FIELD_MANAGER), _FIELD_VALIDATION)
PATCHING = (
    DRY_RUN,
    Parameter("fieldManager", "string", f"{_FIELD_MANAGER} Required for apply, optional for other patches."),
    _FIELD_VALIDATION,
    Parameter("force", "boolean", 'Force is going to "force" Apply requests: it takes over fields owned by others.'),
)
_CHOOSING = (
    *_table(
        (
            ("continue", "string", "Retrieves the next page of a list that was limited."),
            ("fieldSelector", "string", "Restricts the list of returned objects by their fields."),
            ("labelSelector", "string", "Restricts the list of returned objects by their labels."),
            ("limit", "integer", "The maximum number of responses to return for a list call."),
            ("resourceVersionMatch", "string", "How resourceVersion is applied to list calls."),
            ("sendInitialEvents", "boolean", "Begin a watch with synthetic events for the objects that exist."),
            ("shardSelector", "string", "Restricts the list of returned objects to a part of them (alpha)."),
            ("timeoutSeconds", "integer", "Timeout for the list or watch call."),
        )
    ),
    RESOURCE_VERSION,
)
LISTING = (
    *_CHOOSING,
    *_table(
        (
            ("allowWatchBookmarks", "boolean", 'Requests watch events with type "BOOKMARK".'),
            ("watch", "boolean", "Watch for changes: a stream of what is added, updated and removed."),
        )
    ),
)
DELETING = (
    DRY_RUN,
    *_table(
        (
            ("gracePeriodSeconds", "integer", "The duration in seconds before the object should be deleted."),
            (
                "ignoreStoreReadErrorWithClusterBreakingPotential",
                "boolean",
                "Delete an object that cannot be decoded.",
            ),
            ("orphanDependents", "boolean", "Deprecated: use propagationPolicy."),
            ("propagationPolicy", "string", "How garbage collection is performed: Orphan, Background, Foreground."),
        )
    ),
)
DELETING_MANY = (*_CHOOSING, *DELETING)
_LOG = (
    ("container", "string", "The container whose log is read; the only one of a pod by default."),
    ("follow", "boolean", "Keep the answer open and send what is written."),
    ("insecureSkipTLSVerifyBackend", "boolean", "Do not check the certificate of the kubelet."),
    ("limitBytes", "integer", "The number of bytes after which the answer ends."),
    ("previous", "boolean", "Read the log of the container's last instance that ended."),
    ("sinceSeconds", "integer", "Leave out what is older than so many seconds."),
    ("stream", "string", "Which stream is read: All, Stdout or Stderr."),
    ("tailLines", "integer", "Begin so many lines before the end."),
    ("timestamps", "boolean", "Begin every line with its time."),
)


def _terminal(verb: str) -> tuple[tuple[str, str, str], ...]:
    return (
        ("container", "string", f"The container to {verb}; the only one of a pod by default."),
        ("stderr", "boolean", f"Redirect standard error of what you {verb}."),
        ("stdin", "boolean", f"Redirect standard input of what you {verb}."),
        ("stdout", "boolean", f"Redirect standard output of what you {verb}."),
        ("tty", "boolean", f"Give what you {verb} a terminal."),
    )


OF_OPTIONS: Mapping[str, tuple[Parameter, ...]] = {
    "log": (*_table(_LOG), PRETTY),
    "attach": _table(_terminal("attach to")),
    "exec": _table((("command", "string", "The command and its arguments; no shell."), *_terminal("execute in"))),
    "portforward": _table((("ports", "integer", "The ports to forward; required with a WebSocket."),)),
    "proxy": _table((("path", "string", "The URL path of the request that is passed on."),)),
}
"""By subresource, the fields of its options (PodLogOptions and the like)."""


def name_of(kind: str) -> Parameter:
    return Parameter("name", "string", f"name of the {kind}", "path")
