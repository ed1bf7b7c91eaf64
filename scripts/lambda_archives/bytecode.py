"""Compile modules to bytecode; run by an interpreter of the function's own version, without anything but Python.

    python3.13 bytecode.py [--small] < jobs.json

Standard input is a list of `[source, compiled, name]`: the file, where its bytecode goes, and the path that the module
has on Lambda, which tracebacks show.  One process compiles in the order given: what a code object shares with others
of its process can show in its bytes, so two processes side by side would not give the same ones twice.

`--small` leaves out the docstrings of modules and functions.  Those of classes stay: pydantic puts them into the
schemas that a language model is given, and a dataclass without one writes its own when it is imported.
"""

import ast
import importlib.util
import json
import marshal
import sys
from pathlib import Path

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
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node):
                line = node.body.pop(0).lineno
                if not node.body and not isinstance(node, ast.Module):
                    node.body = [ast.Pass(lineno=line, col_offset=0, end_lineno=line, end_col_offset=0)]
    code = compile(tree, name, "exec", dont_inherit=True, optimize=0)
    flags = UNCHECKED_HASH.to_bytes(4, "little")
    return importlib.util.MAGIC_NUMBER + flags + importlib.util.source_hash(source) + marshal.dumps(code)


if __name__ == "__main__":
    sys.exit(main())
