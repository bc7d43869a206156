"""Make `src/kajitori/api/schema/go_shapes.json` from clones of upstream's API types (needed for a new version only).

    python tools/go_shapes.py v0.36.2 <folder>    # with api, apimachinery, apiextensions-apiserver, kube-aggregator

OpenAPI does not say what Go's encoder does with an empty value, nor what Go calls a type in a message about it.
Per definition of the OpenAPI document the result holds:
- `types`: field -> Go type, where it does not follow from the schema (`"restartPolicy": "v1.RestartPolicy"`);
- `embedded`: field -> names of the embedded structs on the way to it;
- `keep`: optional fields whose empty value is written (pointers);
- `always`: field -> what is written when it is absent (no omitempty, or a struct);
- `omitzero`: struct fields that are left out when they are empty.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

SOURCES = [
    *(
        ("api", f"{group}/{version}", f"io.k8s.api.{group}.{version}")
        for group, version in (
            ("admissionregistration", "v1"),
            ("apps", "v1"),
            ("authentication", "v1"),
            ("authorization", "v1"),
            ("autoscaling", "v1"),
            ("autoscaling", "v2"),
            ("batch", "v1"),
            ("certificates", "v1"),
            ("coordination", "v1"),
            ("core", "v1"),
            ("discovery", "v1"),
            ("events", "v1"),
            ("flowcontrol", "v1"),
            ("networking", "v1"),
            ("node", "v1"),
            ("policy", "v1"),
            ("rbac", "v1"),
            ("resource", "v1"),
            ("scheduling", "v1"),
            ("storage", "v1"),
        )
    ),
    ("apimachinery", "pkg/apis/meta/v1", "io.k8s.apimachinery.pkg.apis.meta.v1"),
    (
        "apiextensions-apiserver",
        "pkg/apis/apiextensions/v1",
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1",
    ),
    ("kube-aggregator", "pkg/apis/apiregistration/v1", "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1"),
]
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
CORE = "io.k8s.api.core.v1."
IMPORTED = {"metav1": META, "v1": CORE, "corev1": CORE}
BUILTIN = {"string", "bool", "int", "int32", "int64", "uint16", "float64", "byte"}
OWN_ENCODING = {"Time", "MicroTime", "Duration", "FieldsV1", "Quantity", "IntOrString", "RawExtension", "JSON"}

_STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_NAMED = re.compile(r"^type (\w+) ([^s=].*|string)$|^type (\w+) (s[^t].*)$", re.MULTILINE)
_FIELD = re.compile(r'^\s+(?:(\w+)\s+)?(\S+)\s+`[^`]*?json:"([^"]*)"[^`]*`', re.MULTILINE)


def read(folder: Path, repository: str, tag: str, path: str) -> str:
    clone = next(p for p in (folder / repository, folder / f"kubernetes+{repository}" / "repo") if p.exists())
    names = subprocess.run(
        ["git", "-C", str(clone), "ls-tree", "--name-only", f"{tag}:{path}"], check=True, capture_output=True, text=True
    ).stdout.split()
    chosen = [n for n in names if re.fullmatch(r"types\w*\.go", n) and not n.endswith("_test.go")]
    shown = [
        subprocess.run(
            ["git", "-C", str(clone), "show", f"{tag}:{path}/{name}"], check=True, capture_output=True, text=True
        ).stdout
        for name in chosen
    ]
    return "\n".join(shown)


class Types:
    """Structs and named types by their OpenAPI definition name."""

    def __init__(self, folder: Path, tag: str) -> None:
        self.structs: dict[str, str] = {}
        self.named: dict[str, str] = {}
        for repository, path, prefix in SOURCES:
            text = read(folder, repository, tag, path)
            for name, body in _STRUCT.findall(text):
                self.structs[f"{prefix}.{name}"] = body
            for name, kind, other, other_kind in _NAMED.findall(text):
                self.named[f"{prefix}.{name or other}"] = (kind or other_kind).split("//")[0].strip()

    def resolve(self, definition: str, go_type: str) -> str:
        """The definition name of a type as written inside another definition; "" for a builtin or foreign one."""
        package, dot, name = go_type.rpartition(".")
        if dot:
            return f"{IMPORTED[package]}{name}" if package in IMPORTED else ""
        return "" if go_type in BUILTIN else f"{definition.rpartition('.')[0]}.{go_type}"

    def is_struct(self, definition: str, go_type: str) -> bool:
        target = self.resolve(definition, go_type)
        aliased = self.named.get(target)
        if aliased and target not in self.structs:
            return self.is_struct(target, aliased)
        return target in self.structs and target.rpartition(".")[2] not in OWN_ENCODING

    def shown(self, definition: str, go_type: str) -> str:
        """How Go prints the type in an error."""
        if go_type.startswith("*"):
            return "*" + self.shown(definition, go_type[1:])
        if go_type.startswith("[]"):
            return "[]" + self.shown(definition, go_type[2:])
        if go_type.startswith("map["):
            key, value = go_type[4:].split("]", 1)
            return f"map[{self.shown(definition, key)}]{self.shown(definition, value)}"
        if go_type == "byte":
            return "uint8"
        if go_type in BUILTIN:
            return go_type
        package, dot, name = go_type.rpartition(".")
        if dot:
            return f"{'v1' if package in IMPORTED else package}.{name}"
        return f"{definition.rpartition('.')[0].rpartition('.')[2]}.{go_type}"

    def fields(self, definition: str, embedded: str = "") -> Iterator[tuple[str, str, str, str, set[str]]]:
        """JSON name, the definition it is written in, Go type, embedded path, options."""
        for name, go_type, tag in _FIELD.findall(self.structs[definition]):
            json_name, *options = tag.split(",")
            if json_name == "-":
                continue
            if "inline" in options or (not json_name and not name):
                target = self.resolve(definition, go_type.lstrip("*"))
                short = target.rpartition(".")[2]
                if target in self.structs and short != "TypeMeta":
                    yield from self.fields(target, f"{embedded}{short}.")
                continue
            if json_name:
                yield json_name, definition, go_type, embedded, set(options)


ZERO = {"string": "", "bool": False, "int32": 0, "int64": 0, "int": 0, "uint16": 0, "float64": 0}


def zero(types: Types, definition: str, go_type: str) -> object:
    if go_type.startswith(("*", "[]", "map[")):
        return None
    if types.is_struct(definition, go_type):
        return {}
    if go_type in ZERO:
        return ZERO[go_type]
    target = types.resolve(definition, go_type)
    if target in types.named:
        return zero(types, target, types.named[target])
    return {"IntOrString": 0, "Quantity": "0", "Duration": "0s"}.get(go_type.rpartition(".")[2])


def derivable(schema: dict, go_type: str) -> bool:
    kinds = {"string": "string", "boolean": "bool"}
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if "$ref" in schema:
        return go_type.lstrip("*") == ".".join(schema["$ref"].rpartition("/")[2].split(".")[-2:])
    if kind == "integer":
        return go_type.lstrip("*") == schema.get("format")
    if kind == "array":
        return go_type.startswith("[]") and derivable(schema.get("items", {}), go_type[2:])
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return go_type.startswith("map[string]") and derivable(schema["additionalProperties"], go_type[11:])
    return kinds.get(kind, "") == go_type.lstrip("*")


def shapes(types: Types, definitions: dict) -> dict:
    result: dict = {}
    for definition in sorted(types.structs):
        schema = definitions.get(definition)
        if schema is None or "properties" not in schema:
            continue
        shape: dict = {"types": {}, "embedded": {}, "keep": [], "always": {}, "omitzero": []}
        for name, home, go_type, embedded, options in types.fields(definition):
            if name not in schema["properties"]:
                continue
            pointer = go_type.startswith("*")
            shown = types.shown(home, go_type.removeprefix("*"))
            if not derivable(schema["properties"][name], shown):
                shape["types"][name] = shown
            if embedded:
                shape["embedded"][name] = embedded.rstrip(".")
            encoded = go_type.rpartition(".")[2] in OWN_ENCODING
            struct = not pointer and (encoded or types.is_struct(home, go_type))
            if "omitzero" in options and struct:
                if not encoded:
                    shape["omitzero"].append(name)
            elif struct or not options & {"omitempty", "omitzero"}:
                shape["always"][name] = zero(types, home, go_type)
            elif pointer and not types.is_struct(home, go_type[1:]):
                shape["keep"].append(name)
        shape["keep"].sort()
        if trimmed := {key: value for key, value in shape.items() if value}:
            result[definition] = trimmed
    return result


def main() -> None:
    tag, folder = sys.argv[1], Path(sys.argv[2])
    source = Path(__import__("kubernetes_validate").__file__).parent / "kubernetes-json-schema"
    minor = tag.split(".")[1]
    definitions = json.loads((source / f"v1.{minor}.0-local" / "_definitions.json").read_text())["$defs"]
    target = Path(__file__).parent.parent / "src/kajitori/api/schema/go_shapes.json"
    rows = shapes(Types(folder, tag), definitions)
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(rows[name], sort_keys=True)}" for name in sorted(rows))
    target.write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    main()
