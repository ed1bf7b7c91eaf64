"""Compile modules to bytecode; run by an interpreter of the function's own version, without anything but Python.

    python3.13 bytecode.py [--small] < jobs.json

Standard input is a list of `[source, compiled, name]`: the file, where its bytecode goes, and the path that the module
has on Lambda, which tracebacks show.  One process compiles in the order given: what a code object shares with others
of its process can show in its bytes, so two processes side by side would not give the same ones twice.

`--small` leaves out what the function never reads, see `shrink`.
"""

import ast
import importlib.util
import json
import marshal
import sys
from pathlib import Path
from typing import TypeGuard

# Hash-based and not compared with the source: no date is in it, and the archive is never edited.  (PEP 552)
UNCHECKED_HASH = 0b01


def main() -> int:
    """Compile all; the first module that does not compile ends it with its error."""
    is_small = sys.argv[1:] == ["--small"]
    for source, compiled, name in json.load(sys.stdin):
        target = Path(compiled)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(bytecode(Path(source).read_bytes(), name, is_small=is_small))
    return 0


def bytecode(source: bytes, name: str, *, is_small: bool) -> bytes:
    """The content of a `.pyc` file.  Not optimised: assertions hold on Lambda as they do in tests."""
    tree = ast.parse(source, name)
    if is_small:
        shrink(tree)
    code = compile(tree, name, "exec", dont_inherit=True, optimize=0)
    flags = UNCHECKED_HASH.to_bytes(4, "little")
    return importlib.util.MAGIC_NUMBER + flags + importlib.util.source_hash(source) + marshal.dumps(code)


# Decorators that read no annotation.
INDIFFERENT = {"cache", "cached_property", "classmethod", "contextmanager", "override", "property", "staticmethod"}

# Bases that make nothing of a docstring: the engine's records are no dataclasses.
PLAIN_BASES = {"Protocol", "Record"}


def shrink(tree: ast.Module) -> None:
    """Leave out docstrings, and annotations of functions, where nothing reads them.

    Whole docstrings stay with classes that have a base: pydantic puts them into the schemas that a language model is
    given.  A decorated class keeps its first line: a dataclass without a docstring writes its own when it is imported.
    Annotations stay with classes, and with functions whose decorator may read them, as pydantic's do.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            _forget_docstring(node)
            if {ast.unparse(decorator) for decorator in node.decorator_list} <= INDIFFERENT:
                node.returns = None
                for argument in _arguments(node.args):
                    argument.annotation = None
        elif isinstance(node, ast.Module) or _is_plain(node):
            _forget_docstring(node)


def _is_plain(node: ast.AST) -> TypeGuard[ast.ClassDef]:
    return isinstance(node, ast.ClassDef) and {ast.unparse(base) for base in node.bases} <= PLAIN_BASES


def _forget_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    match node.body:
        case [ast.Expr(value=ast.Constant(value=str(text)) as docstring), *rest]:
            if isinstance(node, ast.ClassDef) and node.decorator_list:
                docstring.value = text.partition("\n")[0]
            elif rest or isinstance(node, ast.Module):
                node.body = rest
            else:
                docstring.value = ...  # a body needs something


def _arguments(arguments: ast.arguments) -> list[ast.arg]:
    starred = [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *starred]


if __name__ == "__main__":
    sys.exit(main())
