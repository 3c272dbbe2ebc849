"""What an MP4 says of itself: enough to know that it is one, and how long and large.

Read from the file's boxes (ISO/IEC 14496-12): `ftyp`, `moov/mvhd` and `moov/trak/tkhd`.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_MAX_MOOV_BYTES = 64 << 20


class NotAVideo(ValueError):
    """The file is not an MP4 that a player would take; the text says why."""


@dataclass(frozen=True, slots=True)
class Facts:
    seconds: float
    width: int
    height: int


def read(path: Path) -> Facts:
    """Raises `NotAVideo` unless the file is whole, starts as an MP4 does and has a picture track."""
    with path.open("rb") as file:
        size = path.stat().st_size
        boxes: dict[bytes, tuple[int, int]] = {}
        for kind, start, end in _boxes(file, 0, size):
            boxes.setdefault(kind, (start, end))
        if next(iter(boxes), b"") != b"ftyp":
            raise NotAVideo("it does not start as an MP4 does")
        if b"moov" not in boxes or b"mdat" not in boxes:
            raise NotAVideo("it has no index or no pictures")
        start, end = boxes[b"moov"]
        if end - start > _MAX_MOOV_BYTES:
            raise NotAVideo("its index is too large")
        return _facts(file, start, end)


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the contents of each box between two offsets."""
    while start + 8 <= end:
        file.seek(start)
        length, kind = struct.unpack(">I4s", file.read(8))
        header = 8
        if length == 1:
            (length,) = struct.unpack(">Q", file.read(8))
            header = 16
        elif length == 0:
            length = end - start
        if length < header or start + length > end:
            raise NotAVideo("it is cut off or damaged")
        yield kind, start + header, start + length
        start += length


def _facts(file: BinaryIO, start: int, end: int) -> Facts:
    seconds, width, height = 0.0, 0, 0
    for kind, inner, inner_end in _boxes(file, start, end):
        if kind == b"mvhd":
            seconds = _duration(_head(file, inner, inner_end))
        elif kind == b"trak":
            for part, at, at_end in _boxes(file, inner, inner_end):
                if part == b"tkhd":
                    width, height = max((width, height), _size(_head(file, at, at_end)))
    if not width or not height:
        raise NotAVideo("it has no picture track")
    if seconds <= 0:
        raise NotAVideo("it has no length")
    return Facts(round(seconds, 3), width, height)


def _head(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    head = file.read(min(end - start, 128))
    if len(head) < 84:
        raise NotAVideo("its index is damaged")
    return head


def _duration(mvhd: bytes) -> float:
    layout, offset = (">IQ", 20) if mvhd[0] == 1 else (">II", 12)
    scale, duration = struct.unpack_from(layout, mvhd, offset)
    return float(duration / scale) if scale else 0.0


def _size(tkhd: bytes) -> tuple[int, int]:
    # The last two fields, as 16.16 fixed point; version 1 has wider times before them.
    width, height = struct.unpack_from(">II", tkhd, 88 if tkhd[0] == 1 else 76)
    return width >> 16, height >> 16
