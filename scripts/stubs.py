"""Writes `python/tenflowers/_core.pyi`: the operations from the extension's own table, the rest from `core_stub.pyi`.

python scripts/stubs.py             write the stub
python scripts/stubs.py --check     fail, and show the difference, if it is out of date
python scripts/stubs.py --stubtest  compare the stub with the built module
"""

from __future__ import annotations

import argparse
import ast
import difflib
import inspect
import itertools
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tenflowers import _core

SCRIPTS = Path(__file__).resolve().parent
STUB = SCRIPTS.parent / "python" / "tenflowers" / "_core.pyi"

# What a parameter takes, and what comes back. Names with an underscore are aliases in `core_stub.pyi`: operations such
# as `bool` and `float` would hide the built-in names.
KINDS = {
    "Tensor": "Tensor",
    "Tensors": "Sequence[Tensor]",
    "TensorOptions": "Sequence[Tensor | None]",
    "Operand": "_Operand",
    "Scalar": "_Number",
    "Int": "_int",
    "Ints": "_int | Sequence[_int]",
    "IntOptions": "_int | Sequence[_int | None]",
    "Size": "Sequence[_int]",
    "Float": "_float",
    "Bool": "_bool",
    "DType": "_dtype",
    "Device": "_Device",
    "Str": "_str",
    "Generator": "Generator",
    "Index": "_Index",
}
RETURNS = {
    "Tensor": "Tensor",
    "Tensors": "tuple[Tensor, ...]",
    "Int": "_int",
    "Float": "_float",
    "Bool": "_bool",
    "None": "None",
    # One or several, as the arguments say.
    "Any": "Any",
}

OPERATORS = {
    "add": "add",
    "sub": "sub",
    "mul": "mul",
    "truediv": "div",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "pow",
    "matmul": "matmul",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
}


@dataclass(frozen=True)
class Parameter:
    name: str
    type: str
    default: str | None = None
    keyword_only: bool = False
    star: bool = False

    def __str__(self) -> str:
        default = "" if self.default is None else f" = {self.default}"
        return f"{'*' * self.star}{self.name}: {self.type}{default}"


@dataclass(frozen=True)
class Signature:
    """One way to call one name."""

    name: str
    parameters: tuple[Parameter, ...]
    returns: str
    doc: str

    def text(self, *, method: bool, overload: bool) -> str:
        shown = ["self", *map(str, self.parameters[1:])] if method else [str(p) for p in self.parameters]
        keyword_only = next((at for at, p in enumerate(self.parameters) if p.keyword_only), None)
        if keyword_only is not None and not any(p.star for p in self.parameters):
            shown.insert(keyword_only, "*")
        head = "@overload\n" if overload else ""
        return f'{head}def {self.name}({", ".join(shown)}) -> {self.returns}:\n    """{self.doc}"""\n'


def parameter(row: dict[str, Any], given: dict[str, Any]) -> Parameter:
    if given["kind"] not in KINDS:
        raise SystemExit(f"{row['name']}: no Python type is known for the kind {given['kind']!r}")
    optional = given["optional"] or given["default"] == "None"
    kind = KINDS[given["kind"]] + " | None" * optional
    return Parameter(given["name"], kind, given["default"], given["keyword_only"])


def returns(row: dict[str, Any]) -> str:
    fields = row["returns"]
    return RETURNS[fields] if isinstance(fields, str) else tuple_name(fields)


def tuple_name(fields: list[str]) -> str:
    return "_" + "".join(field.title().replace("_", "") for field in fields)


def documentation(row: dict[str, Any]) -> str:
    """The first paragraph, as the inside of a docstring."""
    paragraph = " ".join(inspect.cleandoc(row["doc"]).partition("\n\n")[0].split())
    return paragraph.replace("\\", "\\\\").replace('"""', r"\"\"\"")


def calls(row: dict[str, Any]) -> Iterator[Signature]:
    """The row as it is called: two ways where its last integers may also stand one by one."""
    parameters = tuple(parameter(row, given) for given in row["params"])
    whole = Signature(row["name"], parameters, returns(row), documentation(row))
    yield whole
    for at, given in enumerate(row["params"]):
        if given["kind"] == "Size":
            star = Parameter(parameters[at].name, "_int", star=True)
            rest = (replace(p, keyword_only=True) for p in parameters[at + 1 :])
            yield replace(whole, parameters=(*parameters[:at], star, *rest))


def functions(row: dict[str, Any]) -> Iterator[Signature]:
    if row["places"] == ["method"]:
        return
    for call in calls(row):
        if row["returns"] in ("Tensor", "Any") and row["places"] != ["private"]:
            out = Parameter("out", "Tensor | None", "None", keyword_only=True)
            yield replace(call, parameters=(*call.parameters, out))
        else:
            yield call


def methods(row: dict[str, Any]) -> Iterator[Signature]:
    if "method" in row["places"]:
        for call in calls(row):
            own = [p for p in call.parameters if p.name == "input"]
            rest = [p for p in call.parameters if p.name != "input"]
            call = replace(call, parameters=(*own, *rest))
            yield call
            yield from in_place(row, call)


def in_place(row: dict[str, Any], call: Signature) -> Iterator[Signature]:
    if row["into"] and row["params"] and row["params"][0]["kind"] in ("Tensor", "Operand"):
        first = replace(call.parameters[0], type="Tensor")
        doc = f"`{call.name}`, written into `{first.name}`."
        yield Signature(f"{call.name}_", (first, *call.parameters[1:]), "Tensor", doc)


def definitions(signatures: Iterable[Signature], *, method: bool, without: set[str]) -> str:
    """All signatures as text, by name, those of one name as overloads; `without` names that are written by hand."""
    text = []
    ordered = sorted(signatures, key=lambda signature: signature.name)
    for name, group in itertools.groupby(ordered, key=lambda signature: signature.name):
        same = list(group)
        if name not in without:
            text += [signature.text(method=method, overload=len(same) > 1) for signature in same]
    return textwrap.indent("".join(text), "    " * method)


def defined(body: list[ast.stmt]) -> set[str]:
    """The names that these statements define."""
    names = {item.name for item in body if isinstance(item, ast.FunctionDef | ast.ClassDef)}
    targets = (item.target for item in body if isinstance(item, ast.AnnAssign))
    return names | {target.id for target in targets if isinstance(target, ast.Name)}


def operators() -> str:
    lines = []
    for name, operation in OPERATORS.items():
        operand = "Tensor" if name == "matmul" else "_Operand"
        # Python gives the slot of `pow` a modulus, which tensors do not take.
        more = ", mod: None = None" if name == "pow" else ""
        lines.append(f"    def __{name}__(self, other: {operand}{more}, /) -> Tensor: ...")
        lines.append(f"    def __r{name}__(self, other: {operand}{more}, /) -> Tensor: ...")
        if hasattr(_core.Tensor, f"{operation}_"):
            # In place there is no modulus, also not at run time.
            ignored = "  # type: ignore[misc]" if more else ""
            lines.append(f"    def __i{name}__(self, other: {operand}, /) -> Self: ...{ignored}")
    return "\n".join(lines) + "\n"


def generate() -> str:
    rows = _core._schemas()
    text = (SCRIPTS / "core_stub.pyi").read_text(encoding="utf-8")
    body = ast.parse(text).body
    tensor = next(item for item in body if isinstance(item, ast.ClassDef) and item.name == "Tensor")
    results = {tuple_name(row["returns"]): row["returns"] for row in rows if isinstance(row["returns"], list)}
    classes = "".join(
        f"class {name}(NamedTuple):\n" + "".join(f"    {field}: Tensor\n" for field in fields)
        for name, fields in sorted(results.items())
    )
    every_method = itertools.chain.from_iterable(map(methods, rows))
    every_function = itertools.chain.from_iterable(map(functions, rows))
    for mark, made in {
        "    # (operators)\n": operators(),
        "    # (methods of the table)\n": definitions(every_method, method=True, without=defined(tensor.body)),
        "# (results of the table)\n": classes,
        "# (public names)\n": f"__all__ = {sorted(_core.__all__)!r}\n",
        "# (functions of the table)\n": definitions(every_function, method=False, without=defined(body)),
    }.items():
        head, found, tail = text.partition(mark)
        if not found:
            raise SystemExit(f"core_stub.pyi has no line {mark.strip()!r}")
        text = head + made + tail
    notice = (
        "# Generated by scripts/stubs.py from the table of operations and scripts/core_stub.pyi: see `make stubs`.\n"
    )
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(STUB), "-"]
    formatted = subprocess.run(command, input=(notice + text).encode(), stdout=subprocess.PIPE, check=True).stdout
    return formatted.decode()


def check() -> int:
    old = STUB.read_text(encoding="utf-8") if STUB.exists() else ""
    changes = list(difflib.unified_diff(old.splitlines(), generate().splitlines(), "committed", "generated", n=1))
    if changes:
        print("\n".join(changes[:60]))
        print(f"{STUB.name} is out of date: run `make stubs`")
    return int(bool(changes))


def stubtest() -> int:
    """Compares stub and module, except where one text signature cannot say what the stub does: overloads."""
    rows = _core._schemas()
    names = [signature.name for row in rows for signature in functions(row)]
    names += [signature.name for row in rows for signature in methods(row) if row["places"] == ["method"]]
    overloaded = sorted({name for name in names if names.count(name) > 1})
    with tempfile.TemporaryDirectory() as folder:
        allowed = Path(folder) / "overloaded"
        lines = [rf"tenflowers\._core\.(Tensor\.)?{name}" for name in overloaded]
        allowed.write_text("\n".join(lines) + "\n")
        command = [sys.executable, "-m", "mypy.stubtest", "tenflowers._core", "--concise"]
        options = ["--allowlist", str(allowed), "--ignore-unused-allowlist", "--mypy-config-file", "pyproject.toml"]
        return subprocess.run([*command, *options], cwd=SCRIPTS.parent, check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--check", action="store_true", help="fail if the stub is out of date")
    group.add_argument("--stubtest", action="store_true", help="compare the stub with the built module")
    options = parser.parse_args()
    if options.check:
        return check()
    if options.stubtest:
        return stubtest()
    STUB.write_text(generate(), encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
