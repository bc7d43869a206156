"""What the schema of a CustomResourceDefinition cannot say: that its paths can be read. Pure; everything else about a
definition is `kajitori.api.validation.custom_resources`."""

from collections.abc import Iterator

from kajitori.api.field_errors import FieldError, invalid
from kajitori.api.meta import Object
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
