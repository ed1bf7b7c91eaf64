"""Write the tables of the Terraform module's pages from its .tf files.

    python scripts/terraform_docs.py [--check]

Between a page's markers `<!-- BEGIN name -->` and `<!-- END name -->` stand: in terraform/README.md `inputs`, `outputs`
and `resources`, in docs/deploy.md `statements` (of the role's policy).  With --check nothing is written, and the exit
code is 1 when a page is not what the files say.

Reads what `terraform fmt` leaves: blocks that end with a brace in the first column, attributes indented by two.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULE = ROOT / "terraform"
PAGES = (MODULE / "README.md", ROOT / "docs" / "deploy.md")

_LINES = re.MULTILINE | re.DOTALL
_BLOCK = re.compile(r'^(?P<kind>variable|output|resource) (?P<labels>(?:"[\w-]+" ?)+)\{\n(?P<body>.*?)^\}', _LINES)
_HEREDOC = re.compile(r"^<<-(\w+)\n(.*?)^\s*\1$", _LINES)
_STATEMENT = re.compile(r"^    (?P<sid>[A-Z]\w+) = \{\n(?P<body>.*?)^    \}", _LINES)


class PageError(Exception):
    """A .tf file or a page is not written as this script reads it."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a .tf file: its labels, and its attributes as they are written."""

    kind: str
    labels: tuple[str, ...]
    attributes: dict[str, str]

    @property
    def description(self) -> str:
        """The description in one line."""
        text = self.attributes.get("description")
        if text is None:
            raise PageError(f"{self.kind} {self.labels[0]} has no description")
        return " ".join(_text(text).split())


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with --check compare them."""
    stale = []
    for page in PAGES:
        was = page.read_text()
        made = with_tables(was, MODULE)
        if made == was:
            continue
        if "--check" in arguments:
            stale.append(page)
        else:
            page.write_text(made)
    for page in stale:
        print(f"{page.relative_to(ROOT)} is not what the .tf files say: make docs", file=sys.stderr)
    return 1 if stale else 0


def with_tables(page: str, module: Path) -> str:
    """The page with its tables made anew."""
    found = [block for path in sorted(module.glob("*.tf")) for block in blocks(path.read_text())]
    tables = {
        "inputs": inputs([block for block in found if block.kind == "variable"]),
        "outputs": outputs([block for block in found if block.kind == "output"]),
        "resources": resources([block for block in found if block.kind == "resource"]),
        "statements": statements((module / "iam.tf").read_text()),
    }
    for name, table in tables.items():
        begin, end = f"<!-- BEGIN {name} -->\n", f"<!-- END {name} -->"
        if begin in page:
            before, _, rest = page.partition(begin)
            page = f"{before}{begin}\n{table}\n{end}{rest.partition(end)[2]}"
    return page


def blocks(text: str) -> Iterator[Block]:
    """The variables, outputs and resources of a .tf file, in their order."""
    for found in _BLOCK.finditer(text):
        labels = tuple(re.findall(r'"([\w-]+)"', found["labels"]))
        yield Block(found["kind"], labels, dict(_attributes(found["body"], indent="  ")))


def inputs(variables: Sequence[Block]) -> str:
    """What has to be given first, then what may be, each in the order of the files."""
    rows = [
        (
            f"`{variable.labels[0]}`",
            variable.description,
            f"`{_one_line(variable.attributes['type'])}`",
            f"`{_one_line(variable.attributes['default'])}`" if "default" in variable.attributes else "**required**",
        )
        for variable in sorted(variables, key=lambda variable: "default" in variable.attributes)
    ]
    return _table(("Name", "Description", "Type", "Default"), rows)


def outputs(found: Sequence[Block]) -> str:
    """The outputs in the order of the file."""
    return _table(("Name", "Description"), [(f"`{output.labels[0]}`", output.description) for output in found])


def resources(found: Sequence[Block]) -> str:
    """Every kind of resource with the names that it has here."""
    names: dict[str, list[str]] = {}
    for kind, name in (block.labels for block in found):
        names.setdefault(kind, []).append(f"`{name}`")
    return _table(("Resource", "Names"), [(f"`{kind}`", ", ".join(names[kind])) for kind in sorted(names)])


def statements(text: str) -> str:
    """The statements of the policy: what, on what, when, why."""
    rows = []
    for found in _STATEMENT.finditer(text):
        fields = dict(_attributes(found["body"], indent="      "))
        actions = ", ".join(f"`{action}`" for action in re.findall(r'"([\w:]+)"', fields["actions"]))
        when = "always" if fields["when"] == "true" else f"`{fields['when']}`"
        rows.append(
            (f"`{found['sid']}`", actions, f"`{_one_line(fields['resources'])}`", when, _text(fields["reason"]))
        )
    if not rows:
        raise PageError("iam.tf has no statements that can be read")
    return _table(("Statement", "Allows", "On", "When", "Why"), rows)


def _attributes(body: str, *, indent: str) -> Iterator[tuple[str, str]]:
    """Names and values of a block's own attributes; a value goes on while lines are indented deeper, or close it."""
    name, value = "", ""
    for line in body.splitlines():
        begun = re.match(rf"{indent}(\w+)\s*= (.*)", line)
        if begun is not None:
            if name:
                yield name, value
            name, value = begun[1], begun[2]
        elif re.match(rf"{indent}\w+ ", line) or line.startswith(f"{indent}#"):  # a block inside, a comment
            if name:
                yield name, value
            name, value = "", ""
        elif name:
            value += f"\n{line}"
    if name:
        yield name, value


def _text(value: str) -> str:
    """What a string says, quoted or as a heredoc."""
    if (heredoc := _HEREDOC.match(value)) is not None:
        return heredoc[2]
    quoted = re.match(r'"((?:[^"\\]|\\.)*)"', value)
    if quoted is None:
        raise PageError(f"this is no text: {value}")
    return re.sub(r"\\(.)", r"\1", quoted[1])


def _one_line(value: str) -> str:
    """A value of several lines in one, as HCL lets it be written."""
    lines = [re.sub(r"\s+= ", " = ", line.strip()) for line in value.strip().splitlines() if line.strip()]
    joined = lines[0]
    for before, line in pairwise(lines):
        needs_comma = not before.endswith(("(", "{", "[", ",")) and not line.startswith((")", "}", "]"))
        joined += (", " if needs_comma else " ") + line
    return joined


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [" | ".join(cell.replace("|", "\\|") for cell in row) for row in (head, ["---"] * len(head), *rows)]
    return "".join(f"| {line} |\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
