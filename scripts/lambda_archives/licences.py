"""Collects the licences of what a layer ships, those of FFmpeg and its codecs included."""

import email
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

RULE = "=" * 100

# The projects whose libraries stand in av.libs, and the licences that they publish them under, as SPDX writes them.
# FFmpeg's parts are asked themselves, see `ffmpeg_claims`.
BUNDLED = {
    "SvtAv1Enc": ("SVT-AV1", "BSD-3-Clause-Clear"),
    "X11": ("libX11", "MIT"),
    "Xau": ("libXau", "MIT-open-group"),
    "asound": ("alsa-lib", "LGPL-2.1-or-later"),
    "dav1d": ("dav1d", "BSD-2-Clause"),
    "drm": ("libdrm", "MIT"),
    "gmp": ("GMP", "LGPL-3.0-or-later OR GPL-2.0-or-later"),
    "gnutls": ("GnuTLS", "LGPL-2.1-or-later"),
    "hogweed": ("Nettle", "LGPL-3.0-or-later OR GPL-2.0-or-later"),
    "mp3lame": ("LAME", "LGPL-2.0-or-later"),
    "nettle": ("Nettle", "LGPL-3.0-or-later OR GPL-2.0-or-later"),
    "opencore-amrnb": ("opencore-amr", "Apache-2.0"),
    "opencore-amrwb": ("opencore-amr", "Apache-2.0"),
    "opus": ("Opus", "BSD-3-Clause"),
    "sharpyuv": ("libwebp", "BSD-3-Clause"),
    "unistring": ("libunistring", "LGPL-3.0-or-later OR GPL-2.0-or-later"),
    "vpl": ("libvpl", "MIT"),
    "vpx": ("libvpx", "BSD-3-Clause"),
    "webp": ("libwebp", "BSD-3-Clause"),
    "webpmux": ("libwebp", "BSD-3-Clause"),
    "x264": ("x264", "GPL-2.0-or-later"),
    "x265": ("x265", "GPL-2.0-or-later"),
    "xcb": ("libxcb", "MIT"),
    "xcb-shape": ("libxcb", "MIT"),
    "xcb-shm": ("libxcb", "MIT"),
    "xcb-xfixes": ("libxcb", "MIT"),
}
FFMPEG = ("avcodec", "avdevice", "avfilter", "avformat", "avutil", "swresample", "swscale")

# `libx264-d6533a8d.so.165`: auditwheel puts a hash between a library's name and its version.
LIBRARY = re.compile(r"lib(?P<name>.+?)(?:-[0-9a-f]{8})?\.so[\d.]*$")

COPYLEFT = (
    "That is not the whole truth: libavcodec links {projects}, published under the GNU General Public License, version "
    "2 or later; with FFmpeg's version-3 parts the whole is under the GPL, version 3 or later. Running it in one's own "
    "Lambda function hands no copy to anybody. Publishing this archive does: whoever does that has to offer the "
    "corresponding source under the GPL (https://github.com/PyAV-Org/pyav-ffmpeg builds the libraries and names each "
    "source), or to have other licences from the owners of {projects}."
)


class UnknownLibraryError(Exception):
    """PyAV's wheel brings a library whose licence nobody has looked up."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(
            f"licences unknown of {', '.join(names)}: look them up, and add them to {Path(__file__).name}, BUNDLED"
        )


@dataclass(frozen=True, slots=True)
class Distribution:
    """One installed package.

    Attributes:
        licence: as its metadata names it.
        texts: name and content of each licence file that its wheel brings.
    """

    name: str
    version: str
    licence: str
    texts: tuple[tuple[str, str], ...]


def distributions(folders: Iterable[Path]) -> Iterator[Distribution]:
    """What the `dist-info` folders say, by name."""
    for folder in sorted(folders, key=lambda path: path.name.lower()):
        metadata = email.message_from_string((folder / "METADATA").read_text(encoding="utf-8"))
        classifiers = [line.rpartition(" :: ")[2] for line in metadata.get_all("Classifier", []) if "License" in line]
        # Older metadata may hold the whole text in `License`.
        named = (metadata.get("License-Expression") or metadata.get("License") or "").partition("\n")[0]
        files = [path for path in folder.rglob("*") if path.is_file() and _is_licence(path)]
        yield Distribution(
            str(metadata["Name"]),
            str(metadata["Version"]),
            named or ", ".join(classifiers) or "not named in its metadata",
            tuple((path.name, path.read_text(encoding="utf-8", errors="replace")) for path in sorted(files)),
        )


def collected(packages: list[Distribution]) -> str:
    """One text for `licenses/`: who is in the layer, then every licence in full."""
    lines = [f"{package.name} {package.version}: {package.licence}" for package in packages]
    for package in packages:
        lines += ["", RULE, f"{package.name} {package.version}", RULE]
        if not package.texts:
            lines += ["", f"Its wheel holds no licence file; its metadata says: {package.licence}"]
        for name, text in package.texts:
            lines += ["", f"--- {name}", "", text.rstrip()]
    return "\n".join(lines) + "\n"


def bundled(libraries: Path) -> str:
    """What the shared libraries beside PyAV are, and under which licences.

    Raises:
        UnknownLibraryError: one of them is not in `BUNDLED`.
    """
    found = {
        path.name: matched["name"] for path in sorted(libraries.iterdir()) if (matched := LIBRARY.match(path.name))
    }
    unknown = [file for file, name in found.items() if name not in BUNDLED and name not in FFMPEG]
    if unknown:
        raise UnknownLibraryError(unknown)
    configuration, claim = ffmpeg_claims(next(libraries.glob("libavcodec*")))
    lines = [
        "PyAV's wheel brings these shared libraries (av.libs):",
        "",
        *(f"{file}: {_licence_of(name, claim)}" for file, name in found.items()),
        "",
        f"FFmpeg says of itself: {claim}. It was configured with: {configuration}",
    ]
    copyleft = sorted({BUNDLED[name][0] for name in found.values() if BUNDLED.get(name, ("", ""))[1].startswith("GPL")})
    if copyleft:
        lines += [
            "",
            COPYLEFT.format(projects=" and ".join(copyleft)),
        ]
    return "\n".join(lines) + "\n"


def ffmpeg_claims(library: Path) -> tuple[str, str]:
    """How libavcodec was configured and the licence it names, read from the file: it may not run on this machine."""
    content = library.read_bytes()
    configuration = re.search(rb"--[ -~]*--enable-[ -~]+", content)
    claim = re.search(rb"libavcodec license: ([ -~]+)", content)
    if configuration is None or claim is None:
        raise ValueError(f"{library.name} does not say how it was configured or under which licence")
    return configuration[0].decode(), claim[1].decode()


def _licence_of(name: str, ffmpeg: str) -> str:
    if name in FFMPEG:
        return f"FFmpeg, {ffmpeg}"
    project, licence = BUNDLED[name]
    return f"{project}, {licence}"


def _is_licence(path: Path) -> bool:
    return "licenses" in path.parts or path.name.upper().startswith(("LICENSE", "LICENCE", "COPYING", "NOTICE"))
