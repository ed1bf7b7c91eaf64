"""Takes from native modules what only a debugger or a linker reads.

It is done here and not by a program, so that every machine does it, for each architecture, and to the same bytes:
binutils strip one architecture per package of the system, LLVM's strip (14) moves what auditwheel has added off its
pages, which the loader refuses, and LIEF (1.0) leaves PyAV twice as large.
"""

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

# Already stripped: 0.3 of 74.6 MB would go (`strip --strip-unneeded` on PyAV 18.1.0's, 2026-11-22).
ALREADY_STRIPPED = "av.libs"

# Of a 64-bit ELF file, least significant byte first: where its tables of segments and of sections are told, and what a
# segment is that gets loaded.  (elf(5))
_BEGINS = b"\x7fELF\x02\x01"
_SEGMENTS_AT, _SECTIONS_AT, _SEGMENT_SIZE_AT, _SECTION_SIZE_AT = 32, 40, 54, 58
_SEGMENT = struct.Struct("<IIQQQQQQ")
_LOADED = 1
_HEADER_SIZE = 64


class NotStrippableError(Exception):
    """A native module is not what the loader of the function's platform takes."""

    def __init__(self, file: Path, why: str) -> None:
        super().__init__(f"{file.name} cannot be stripped: {why}; look at the wheel that it comes from")


class _Segment(NamedTuple):
    kind: int
    flags: int
    offset: int
    address: int
    physical_address: int
    file_size: int
    memory_size: int
    alignment: int


def strip(files: Iterable[Path]) -> None:
    """Strip in place.

    Raises:
        NotStrippableError: neither this file nor one after it was touched.
    """
    for file in files:
        try:
            file.write_bytes(stripped(file.read_bytes()))
        except (ValueError, struct.error) as error:
            raise NotStrippableError(file, str(error)) from error


def stripped(elf: bytes) -> bytes:
    """What the loader maps, to the same addresses; symbols, debug information and the table of sections are gone.

    Raises:
        ValueError, struct.error: no whole 64-bit ELF file, or one whose tables stand where nothing is loaded.
    """
    if not elf.startswith(_BEGINS):
        raise ValueError("it is no 64-bit ELF file")
    (table_at,) = struct.unpack_from("<Q", elf, _SEGMENTS_AT)
    size, count = struct.unpack_from("<HH", elf, _SEGMENT_SIZE_AT)
    table = [_Segment(*_SEGMENT.unpack_from(elf, table_at + number * size)) for number in range(count)]

    content, moves = bytearray(), []
    for one in sorted(table, key=lambda one: one.offset):
        if one.kind == _LOADED and one.file_size:
            # The loader maps whole pages: a segment stands in the file as it will stand on its page.
            begins = len(content) + (one.offset - len(content)) % max(one.alignment, 1)
            content += bytes(begins - len(content)) + elf[one.offset : one.offset + one.file_size]
            moves.append((one, begins))

    _moved(0, _HEADER_SIZE, moves)  # it is part of the first
    new_table_at = _moved(table_at, size * count, moves)
    for number, one in enumerate(table):
        offset = _moved(one.offset, one.file_size, moves) if one.file_size else one.offset
        _SEGMENT.pack_into(content, new_table_at + number * size, *one._replace(offset=offset))
    struct.pack_into("<QQ", content, _SEGMENTS_AT, new_table_at, 0)
    struct.pack_into("<HHH", content, _SECTION_SIZE_AT, 0, 0, 0)
    return bytes(content)


def _moved(offset: int, length: int, moves: Iterable[tuple[_Segment, int]]) -> int:
    for one, begins in moves:
        if one.offset <= offset and offset + length <= one.offset + one.file_size:
            return begins + offset - one.offset
    raise ValueError(
        f"its bytes {offset} to {offset + length}, which the loader reads, are in no segment that is loaded"
    )
