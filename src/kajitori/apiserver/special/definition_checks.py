"""What the schema of a CustomResourceDefinition cannot say: that its paths can be read, and that nobody else has its
names. Pure; everything else about a definition is `kajitori.api.validation.custom_resources`."""

from collections.abc import Iterable, Iterator

from kajitori.api.field_errors import FieldError, invalid
from kajitori.api.meta import Object, condition_is, name_of
from kajitori.apiserver.special.json_path import compile_path


def path_errors(definition: Object) -> Iterator[FieldError]:
    """JSONPaths of printer columns that are none."""
    for number, version in enumerate(definition["spec"].get("versions") or ()):
        for index, column in enumerate(version.get("additionalPrinterColumns") or ()):
            text = column.get("jsonPath") or ""
            try:
                compile_path(text)
            except ValueError as error:
                path = f"spec.versions[{number}].additionalPrinterColumns[{index}].jsonPath"
                yield invalid(path, text, str(error))


def name_conflict(definition: Object, others: Iterable[Object]) -> tuple[str, str] | None:
    """Reason and message when a name is another definition's already; None when all can be accepted."""
    group, names = definition["spec"]["group"], definition["spec"]["names"]
    resources: set[str] = set()
    kinds: set[str] = set()
    for other in others:
        same = other["metadata"]["name"] == name_of(definition)
        if same or other["spec"]["group"] != group or not condition_is(other, "NamesAccepted"):
            continue
        theirs = other["spec"]["names"]
        resources |= {theirs["plural"], theirs.get("singular") or "", *(theirs.get("shortNames") or ())} - {""}
        kinds |= {theirs["kind"], theirs.get("listKind") or ""} - {""}
    asked = [
        ("PluralConflict", names["plural"], resources),
        ("SingularConflict", names.get("singular") or "", resources),
        *(("ShortNamesConflict", short, resources) for short in names.get("shortNames") or ()),
        ("KindConflict", names["kind"], kinds),
        ("ListKindConflict", names.get("listKind") or "", kinds),
    ]
    for reason, value, taken in asked:
        if value in taken:
            return reason, f'"{value}" is already in use'
    return None
