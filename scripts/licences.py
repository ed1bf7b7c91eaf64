"""The licences of everything that the locks bring, from what the installed packages say of themselves.

    python scripts/licences.py                 # exit code 1 when one is not on the list of allowed ones
    python scripts/licences.py --list          # and print all of them

A package that names no licence we know has to be looked at by a person, and is then entered below with the reason.
"""

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageMetadata, distributions
from pathlib import Path

REQUIREMENTS = Path(__file__).parent.parent / "requirements"

# May be linked, changed and shipped by anybody, with their notice; MPL-2.0 asks only for changes of its own files.
ALLOWED = frozenset(
    {
        "Apache-2.0",
        "BSD",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "CNRI-Python",
        "ISC",
        "MIT",
        "MIT-0",
        "MIT-CMU",
        "MPL-2.0",
        "PSF-2.0",
    }
)

# Words by which packages without an SPDX expression name the same licences.
WORDS: Mapping[str, str] = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd 2-clause license": "BSD-2-Clause",
    "bsd license": "BSD",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mit no attribution license (mit-0)": "MIT-0",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
}

# What a package says of its Python is not all of what its wheel holds.
REMARKS: Mapping[str, str] = {
    "av": "the wheel holds FFmpeg, LGPL-3.0-or-later as it says of itself, libx264 and libx265, GPL-2.0-or-later: "
    "using them asks for nothing, handing on the wheel or an archive with it does",
}

_NAME = re.compile(r"^([A-Za-z0-9._-]+)==", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Licence:
    """What a package says: alternatives, of which one is enough, each of licences that all hold."""

    package: str
    version: str
    said: str
    alternatives: tuple[tuple[str, ...], ...]

    @property
    def is_allowed(self) -> bool:
        """Whether one alternative consists of allowed licences."""
        return any(parts and ALLOWED.issuperset(parts) for parts in self.alternatives)


def licence_of(package: Distribution) -> Licence:
    """The licence of an installed package: its SPDX expression, else its classifiers, else its words."""
    metadata = package.metadata
    said = " OR ".join(_said(metadata))
    alternatives = tuple(
        tuple(_known(part) for part in re.split(r"\s+AND\s+", alternative))
        for alternative in re.split(r"\s+OR\s+", said)
        if alternative
    )
    return Licence(metadata["Name"], package.version, said, alternatives)


def locked() -> frozenset[str]:
    """The names of all packages in the project's locks."""
    texts = [(REQUIREMENTS / name).read_text() for name in ("project.txt", "lambda.txt", "uv.txt")]
    return frozenset(_normal(name) for text in texts for name in _NAME.findall(text))


def licences(packages: Iterable[Distribution]) -> list[Licence]:
    """Of the packages that the locks name, in order."""
    names = locked()
    found = {_normal(package.metadata["Name"]): licence_of(package) for package in packages}
    return [found[name] for name in sorted(found) if name in names]


def _said(metadata: PackageMetadata) -> list[str]:
    fields = metadata.json
    expression = str(fields.get("license_expression", ""))
    if expression:
        return [expression]
    classifiers = fields.get("classifier", [])
    named = [text.rpartition(" :: ")[2] for text in classifiers if text.startswith("License :: ")]
    return named or [str(fields.get("license", "")).split("\n")[0]]


def _known(words: str) -> str:
    return WORDS.get(words.strip().lower(), words.strip())


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main(arguments: list[str]) -> int:
    """Print what is not allowed, or everything."""
    found = licences(distributions())
    wrong = [licence for licence in found if not licence.is_allowed]
    for licence in found if "--list" in arguments else wrong:
        remark = REMARKS.get(_normal(licence.package), "")
        print(f"{licence.package} {licence.version}: {licence.said or '(nothing)'}{remark and f' ({remark})'}")
    print(f"{len(found)} packages, {len(wrong)} of them under a licence that is not on the list", file=sys.stderr)
    return 1 if wrong or not found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
