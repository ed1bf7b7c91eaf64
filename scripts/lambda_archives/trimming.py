"""What is installed and not shipped: every entry with its reason."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Removal:
    """Files that are left out.

    Attributes:
        patterns: of the path below the root, as `fnmatch` reads them: `*` also crosses folders.
        reason: why the function works without them.
    """

    patterns: tuple[str, ...]
    reason: str

    def covers(self, path: str) -> bool:
        """Whether this file is left out."""
        return any(fnmatchcase(path, pattern) for pattern in self.patterns)


# What is not imported was found by listing `sys.modules` after a whole job in the strict environment
# (tests/e2e/test_strict_lambda.py), which also shows that nothing of this is missed.
FROM_LAYERS = (
    Removal(("bin/*",), "command-line scripts; nothing on Lambda calls them"),
    Removal(("*/tests/*", "tests/*"), "the libraries' own tests"),
    Removal(("*.pyi", "*.pxd", "*.pyx", "*.c", "*.h", "*.js"), "for type checkers, compilers and browsers"),
    Removal(("*/api.md", "*/README.md"), "for readers of the source"),
    Removal(("*.dist-info/RECORD", "*.dist-info/WHEEL", "*.dist-info/zip-safe", ".lock"), "for installers"),
    Removal(("*.dist-info/licenses/*", "*.dist-info/LICENSE*"), "collected in licenses/, once"),
    Removal(("aws_lambda_powertools/event_handler/openapi/swagger_ui/*.css",), "a page that the API does not serve"),
    Removal(("google/genai/_gaos/*",), "google-genai's agents and interactions; Veo is reached by `models`, and the "
            "client imports this on first use"),
    Removal(("openai/resources/admin/*", "openai/types/admin/*"), "administration of an organisation at OpenAI; "
            "the client imports it on first use"),
    Removal(("pyasn1/*", "pyasn1_modules/*", "pyasn1-*.dist-info/*", "pyasn1_modules-*.dist-info/*"),
            "google-auth's signing in pure Python, for where cryptography is missing"),
    Removal(("cffi/*", "pycparser/*", "pycparser-*.dist-info/*"), "compile C; cryptography needs _cffi_backend alone"),
    Removal(("pydantic/mypy.py",), "a plug-in of mypy"),
)  # fmt: skip  # one line an entry, where it fits


def kept(root: Path, paths: Iterable[Path], removals: Iterable[Removal]) -> Iterator[Path]:
    """Those of `paths` that no removal covers."""
    all_removals = tuple(removals)
    for path in paths:
        name = path.relative_to(root).as_posix()
        if not any(removal.covers(name) for removal in all_removals):
            yield path


def removed(root: Path, removals: Iterable[Removal]) -> Iterator[Mapping[str, str | int | list[str]]]:
    """What each removal takes from the files below `root`, for the manifest; a file counts where it is named first."""
    sizes = {path.relative_to(root).as_posix(): path.stat().st_size for path in root.rglob("*") if path.is_file()}
    for removal in removals:
        taken = [name for name in sizes if removal.covers(name)]
        size = sum(sizes.pop(name) for name in taken)
        yield {"patterns": list(removal.patterns), "reason": removal.reason, "files": len(taken), "bytes": size}
