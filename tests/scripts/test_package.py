"""What `make package` decides, on small trees; whole builds are tried by tests/e2e/test_whole_package.py."""

import ast
import marshal
import os
import shutil
import struct
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import CodeType
from typing import Any

import av
import pytest

from scripts.lambda_archives import archive, build, interpreters, licences, stripping
from scripts.lambda_archives.archive import Archive
from scripts.lambda_archives.bytecode import bytecode
from scripts.lambda_archives.reaching import reached
from scripts.lambda_archives.trimming import FROM_LAYERS, Removal, kept, removed

ROOT = Path(__file__).parents[2]
RECORDING = ROOT / "samples" / "narration_human_librivox.mp3"
MIB = 1024 * 1024
HEADER_BYTES = 16  # of a .pyc file (PEP 552)

SMALL = [
    Archive("layer-dependencies.zip", "", zipped_bytes=20 * MIB, unzipped_bytes=57 * MIB, files=1),
    Archive("layer-media.zip", "", zipped_bytes=27 * MIB, unzipped_bytes=77 * MIB, files=1),
    Archive("function.zip", "", zipped_bytes=290_000, unzipped_bytes=MIB, files=1),
]


def written(root: Path, **files: str) -> Path:
    for name, content in files.items():
        path = root / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


# ---- archives


def test_same_content_makes_the_same_archive_whatever_the_files_around_it_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other folder, order, date, mode and time zone."""
    one = {name: tmp_path / "one" / name for name in ("a.py", "b.so")}
    other = {name: tmp_path / "other" / name for name in ("b.so", "a.py")}
    for paths, mode, second in ((one, 0o600, 1_000_000_000), (other, 0o755, 1_700_000_000)):
        for name, path in paths.items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(name)
            path.chmod(mode)
            os.utime(path, (second, second))

    first = archive.write(tmp_path / "x.zip", {**one, "text": "é"})
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    second_time = archive.write(tmp_path / "y.zip", {"text": "é", **other})
    monkeypatch.undo()
    time.tzset()

    assert replace(second_time, name="x.zip") == first
    assert (first.files, first.unzipped_bytes) == (3, len("a.py") + len("b.so") + len("é".encode()))


def test_small_archives_keep_every_budget() -> None:
    assert [budget.name for budget in build.budgets(named(SMALL)) if not budget.is_kept] == []


@pytest.mark.parametrize(
    ("number", "change", "missed"),
    [
        (0, {"unzipped_bytes": 75 * MIB + 1}, {"dependencies_unzipped"}),
        (1, {"unzipped_bytes": 85 * MIB + 1}, {"media_unzipped"}),
        (1, {"zipped_bytes": 50 * MIB + 1}, {"upload.layer-media.zip"}),
        (2, {"zipped_bytes": 300_001}, {"function_zipped"}),
        (2, {"unzipped_bytes": 50 * MIB}, {"spare"}),
        (2, {"unzipped_bytes": 120 * MIB}, {"spare", "unzipped"}),
    ],
)
def test_an_archive_that_is_too_large_misses_its_budget(number: int, change: dict[str, int], missed: set[str]) -> None:
    archives = list(SMALL)
    archives[number] = replace(archives[number], **change)  # type: ignore[arg-type]  # sizes are numbers

    assert {budget.name for budget in build.budgets(named(archives)) if not budget.is_kept} == missed


def named(archives: list[Archive]) -> dict[str, Archive]:
    return {one.name: one for one in archives}


# ---- what is left out


def test_what_a_removal_covers_is_left_out_and_counted_once(tmp_path: Path) -> None:
    root = written(tmp_path, lib__tests__test_x="12345", lib__code="1", tests="1")
    removals = (Removal(("*/tests/*",), "tests"), Removal(("*/test_*", "nothing"), "tests again"))

    left = {path.relative_to(root).as_posix() for path in kept(root, sorted(root.rglob("*.py")), removals)}

    assert left == {"lib/code.py", "tests.py"}
    assert [(entry["files"], entry["bytes"]) for entry in removed(root, removals)] == [(1, 5), (0, 0)]


@pytest.mark.parametrize(
    "path", ["certifi/cacert.pem", "_cffi_backend.cpython-313-x86_64-linux-gnu.so", "httpx2-2.16.2.dist-info/METADATA"]
)
def test_what_libraries_read_at_run_time_is_shipped(path: str) -> None:
    """Whom requests trusts, what cryptography loads, the version that httpx2 asks its metadata for."""
    assert [removal for removal in FROM_LAYERS if removal.covers(path)] == []


def test_nothing_of_google_cloud_aiplatform_is_locked_for_lambda() -> None:
    lock = (ROOT / "requirements" / "lambda.txt").read_text()

    assert "google-genai==" in lock
    assert "google-cloud" not in lock


# ---- which of the project's modules are shipped


def test_imports_are_followed_wherever_they_stand(tmp_path: Path) -> None:
    root = written(
        tmp_path,
        app__main="import app.plain\ndef late():\n    from app.inner import part\n    from . import beside\n",
        app__plain="from app.names import NAME\n",
        app__names="NAME = 1\n",
        app__inner____init__="",
        app__inner__part="from ..upwards import x\n",
        app__inner__unused="",
        app__beside="",
        app__upwards="import os\n",
        app__nobody="",
    )
    (root / "app" / "inner" / "__init__.py").touch()

    found = {path.relative_to(root).as_posix() for path in reached(root, entry="app.main", packages=("app",))}

    names = ("main", "plain", "names", "inner/__init__", "inner/part", "beside", "upwards")
    assert found == {f"app/{name}.py" for name in names}


def test_the_function_ships_what_it_answers_with_and_nothing_of_one_machine() -> None:
    found = {path.relative_to(ROOT).as_posix() for path in reached(ROOT, entry=build.ENTRY, packages=build.OWN)}

    assert found >= {
        "statemachine/aws/dynamodb_store.py",
        "worker/handlers/api/routes.py",
        "worker/lambda_function.py",
        "worker/providers/pyav_assembler/__init__.py",
        "worker/providers/veo/renderer.py",
    }
    assert {name for name in found if name.startswith(("worker/local/", "statemachine/testing/"))} == set()
    assert (
        found & {"worker/__main__.py", "statemachine/sqlite.py", "worker/providers/directory_media_store.py"} == set()
    )


def test_nothing_is_imported_by_a_name_that_is_known_only_at_run_time() -> None:
    """Such a module would not be shipped."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in reached(ROOT, entry=build.ENTRY, packages=build.OWN)
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Attribute) and node.attr == "import_module")
        or (isinstance(node, ast.Name) and node.id in ("import_module", "__import__"))
    ]

    assert found == []


# ---- bytecode

SOURCE = b'''"""Of the module."""
from typing import Protocol
class Plain:
    """Of the plain class."""
    size: int = 1
    def lasts(self, seconds: int, *rest: int, exactly: bool = False, **more: int) -> bool:
        """Of the method."""
        assert seconds
    @property
    def length(self) -> int:
        """Of the property."""
        return 1
def decorated(one):
    return one
@decorated
def kept() -> int:
    return 1
@decorated
class Shot:
    """A shot.

    Attributes: none
    """
class Port(Protocol):
    """Of the port."""
class Model(Plain):
    """Of the model."""
def documented_only():
    """Of the function."""
'''


def run(content: bytes) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "x"}
    exec(loaded(content), names)  # noqa: S102  what was just compiled
    return names


def loaded(content: bytes) -> CodeType:
    code: CodeType = marshal.loads(content[HEADER_BYTES:])  # noqa: S302  as above
    return code


def test_bytecode_names_the_path_on_lambda_and_is_not_compared_with_a_source() -> None:
    content = bytecode(SOURCE, "/var/task/worker/x.py", is_small=False)

    assert loaded(content).co_filename == "/var/task/worker/x.py"
    assert content[4:8] == bytes([0b01, 0, 0, 0])
    assert content == bytecode(SOURCE, "/var/task/worker/x.py", is_small=False)


def test_small_bytecode_leaves_out_what_nothing_reads_and_keeps_assertions() -> None:
    names = run(bytecode(SOURCE, "x.py", is_small=True))
    plain, port, model, function = (names[name] for name in ("Plain", "Port", "Model", "documented_only"))
    assert isinstance(plain, type)
    lasts, length = plain.__dict__["lasts"], plain.__dict__["length"]

    assert [one.__doc__ for one in (plain, lasts, length, function)] == [None] * 4
    assert names.get("__doc__") is None
    assert "Of the" not in str(port.__doc__)
    assert model.__doc__ == "Of the model."
    assert (lasts.__annotations__, plain.__annotations__) == ({}, {"size": int})
    assert length.fget.__annotations__ == {}
    assert names["kept"].__annotations__ == {"return": int}
    assert names["Shot"].__doc__ == "A shot."
    with pytest.raises(AssertionError):
        plain.__dict__["lasts"](None, 0)


def test_bytecode_of_libraries_is_whole() -> None:
    names = run(bytecode(SOURCE, "x.py", is_small=False))
    plain = names["Plain"]
    assert isinstance(plain, type)

    assert (names["__doc__"], plain.__doc__) == ("Of the module.", "Of the plain class.")
    assert plain.__dict__["lasts"].__annotations__["return"] is bool


def test_without_an_interpreter_of_that_version_it_says_what_to_do(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))

    code = build.main(["--python", "3.99", "--into", str(tmp_path / "package")])

    assert code == 2
    assert not (tmp_path / "package").exists()
    said = capsys.readouterr().err
    assert "no Python 3.99 on this machine" in said
    assert "--no-bytecode" in said


def test_the_interpreter_that_is_found_is_of_the_version_that_was_asked_for() -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"

    found = interpreters.find(version)

    assert found.version.startswith(f"{version}.")
    assert found.tag == sys.implementation.cache_tag


# ---- native modules


PAGE = 0x1000
SECOND = b"what the second segment holds"


def elf(*, table_at: int = 64, second_at: int = 0x6010) -> bytes:
    """A file of two segments to load, the second at address 0x9010, with debug information between them."""
    header = bytearray(64)
    header[:6] = b"\x7fELF\x02\x01"
    struct.pack_into("<QQ", header, 32, table_at, 0x300)
    struct.pack_into("<HHHHH", header, 54, 56, 2, 64, 3, 2)
    first = struct.pack("<IIQQQQQQ", 1, 4, 0, 0, 0, 0x200, 0x200, PAGE)
    second = struct.pack("<IIQQQQQQ", 1, 6, second_at, 0x9010, 0x9010, len(SECOND), 0x40, PAGE)
    content = bytearray(b"debug" * PAGE * 2)
    content[:64] = header
    content[table_at : table_at + 112] = first + second
    content[second_at:] = SECOND
    return bytes(content)


def mapped(content: bytes) -> list[tuple[int, int, int, int, bytes]]:
    """What the loader makes of a file: flags, address, size in memory, alignment and content of each segment.

    Left out of the content is what tells of places in the file: header and table.
    """
    (table_at,) = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    blank = bytearray(content)
    blank[:64] = bytes(64)
    blank[table_at : table_at + size * count] = bytes(size * count)
    table = [struct.unpack_from("<IIQQQQQQ", content, table_at + number * size) for number in range(count)]
    assert all(
        (offset - address) % max(alignment, 1) == 0 for kind, _, offset, address, *_, alignment in table if kind == 1
    )
    return [
        (flags, address, in_memory, alignment, bytes(blank[offset : offset + in_file]))
        for kind, flags, offset, address, _, in_file, in_memory, alignment in table
        if kind == 1
    ]


def test_what_stands_between_segments_goes_and_they_stay_on_their_pages() -> None:
    less = stripping.stripped(elf())

    assert len(less) == PAGE + 0x10 + len(SECOND)
    assert mapped(less) == mapped(elf())
    assert mapped(less)[1][1:] == (0x9010, 0x40, PAGE, SECOND)
    assert struct.unpack_from("<HHH", less, 58) == (0, 0, 0), "a table of sections that are gone"


def test_stripping_again_changes_nothing() -> None:
    assert stripping.stripped(stripping.stripped(elf())) == stripping.stripped(elf())


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"!<arch>\n", "no 64-bit ELF file"),
        (elf()[:80], "unpack_from requires"),
        (elf(table_at=0x1000), "in no segment that is loaded"),
    ],
)
def test_what_cannot_be_stripped_is_named_and_stays_as_it_was(content: bytes, why: str, tmp_path: Path) -> None:
    module = tmp_path / "module.so"
    module.write_bytes(content)

    with pytest.raises(stripping.NotStrippableError, match=rf"module\.so cannot be stripped: .*{why}"):
        stripping.strip([module])
    assert module.read_bytes() == content


@pytest.mark.skipif(sys.platform != "linux", reason="native modules are no ELF files here")
def test_stripped_modules_of_a_wheel_are_loaded_and_work(tmp_path: Path) -> None:
    """PyAV's: auditwheel has moved their segments about, and a strip by LLVM 14 made of them what no loader takes."""
    installed = Path(str(av.__file__)).parent
    copied = Path(shutil.copytree(installed, tmp_path / "av"))
    (tmp_path / "av.libs").symlink_to(installed.parent / "av.libs")
    modules = sorted(copied.rglob("*.so"))
    before = {module: module.read_bytes() for module in modules}

    stripping.strip(modules)

    assert sum(module.stat().st_size for module in modules) < sum(map(len, before.values())) / 3
    assert [module for module in modules if mapped(module.read_bytes()) != mapped(before[module])] == []
    code = f"import av; print(av.__file__, len(list(av.open({str(RECORDING)!r}).decode(audio=0))))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(  # noqa: S603  our own line
        command, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    file, frames = done.stdout.split() or (done.stderr, "0")
    assert (file, int(frames) > 0) == (str(copied / "__init__.py"), True)


# ---- licences


def distribution(folder: Path, metadata: str, **texts: str) -> Path:
    (folder / "licenses").mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.4\n{metadata}\n\nLong description\n")
    for name, text in texts.items():
        (folder / "licenses" / name).write_text(text)
    return folder


def test_every_package_is_named_with_its_licence_and_the_texts_that_it_brings(tmp_path: Path) -> None:
    folders = [
        distribution(tmp_path / "b-1.dist-info", "Name: b\nVersion: 1\nLicense-Expression: MIT", LICENSE="Do what."),
        distribution(
            tmp_path / "a-2.dist-info", "Name: a\nVersion: 2\nClassifier: License :: OSI Approved :: BSD License"
        ),
        distribution(tmp_path / "c-3.dist-info", "Name: c\nVersion: 3"),
    ]

    text = licences.collected(list(licences.distributions(folders)))

    assert text.splitlines()[:3] == ["a 2: BSD License", "b 1: MIT", "c 3: not named in its metadata"]
    assert "--- LICENSE\n\nDo what.\n" in text
    assert text.count("Its wheel holds no licence file") == 2


def libraries(folder: Path, *names: str) -> Path:
    folder.mkdir()
    said = b"\0libavcodec license: LGPL version 3 or later\0--prefix=/x --enable-version3 --enable-libx264\0"
    (folder / "libavcodec-5e6b81c2.so.62.28.102").write_bytes(said)
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


def test_copyleft_codecs_are_told_whatever_ffmpeg_says_of_itself(tmp_path: Path) -> None:
    text = licences.bundled(libraries(tmp_path / "av.libs", "libx264-d6533a8d.so.165", "libopus-114e2b1a.so.0.11.1"))

    assert "libavcodec-5e6b81c2.so.62.28.102: FFmpeg, LGPL version 3 or later" in text
    assert "libx264-d6533a8d.so.165: x264, GPL-2.0-or-later" in text
    assert "--prefix=/x --enable-version3 --enable-libx264" in text
    assert "libavcodec links x264, published" in text


def test_without_copyleft_codecs_nothing_is_said_of_them(tmp_path: Path) -> None:
    assert "whole truth" not in licences.bundled(libraries(tmp_path / "av.libs", "libopus-114e2b1a.so.0.11.1"))


def test_a_library_that_nobody_has_looked_up_ends_the_build(tmp_path: Path) -> None:
    with pytest.raises(licences.UnknownLibraryError, match=r"libnew-00000000\.so\.1"):
        licences.bundled(libraries(tmp_path / "av.libs", "libnew-00000000.so.1"))
