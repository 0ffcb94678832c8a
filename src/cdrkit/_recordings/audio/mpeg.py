"""MP3 files: the properties of MPEG-1, 2 and 2.5 layer III.

The bit rate may be constant or variable.

Sources: ISO/IEC 11172-3 and 13818-3 (frame headers), id3.org (ID3v2 tags), and the Xing, Info and VBRI headers that
encoders write into the first frame.
"""

from __future__ import annotations

from typing import Final

import attrs

from cdrkit._recordings.audio.properties import AudioProperties, ReadBytes

__all__ = ["is_mpeg_frame", "mp3_properties"]

_RATES_1: Final = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_RATES_2: Final = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_SAMPLE_RATES: Final = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_SEARCHED: Final = 65_536
_LOOKED_AT: Final = 8
_TAG_AT_END: Final = 128


@attrs.frozen
class _Frame:
    """The header of one MPEG audio frame.

    Attributes:
        bit_rate: Bits per second.
        rate: Samples per second.
        channels: Number of channels.
        samples: Samples in the frame.
        length: The length of the frame in bytes.
        side: The length of the frame's side data in bytes.
    """

    bit_rate: int
    rate: int
    channels: int
    samples: int
    length: int
    side: int


def _frame(head: bytes) -> _Frame | None:
    """Parse a frame header of four bytes; return None if the bytes are invalid."""
    if not is_mpeg_frame(head):
        return None
    version, rate_index, sample_index = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    first = version == 3
    bit_rate = (_RATES_1 if first else _RATES_2)[rate_index] * 1000
    rate = _SAMPLE_RATES[version][sample_index]
    channels = 1 if head[3] >> 6 == 3 else 2
    samples = 1152 if first else 576
    length = samples // 8 * bit_rate // rate + (head[2] >> 1 & 1)
    side = {(True, 2): 32, (True, 1): 17, (False, 2): 17, (False, 1): 9}[first, channels]
    return _Frame(bit_rate, rate, channels, samples, length, side)


def is_mpeg_frame(head: bytes) -> bool:
    """Return whether *head* starts with an MP3 frame (MPEG layer III).

    The frame must have a valid bit rate and sample rate.
    """
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return False
    second, third = head[1:3]
    layer_3 = second & 0x06 == 0x02 and second & 0x18 != 0x08
    return layer_3 and third >> 4 not in (0, 15) and third & 0x0C != 0x0C


def mp3_properties(read: ReadBytes, size: int) -> AudioProperties:
    """Return the properties of an MP3 file of *size* bytes."""
    start = _end_of_tags(read, size)
    end = size
    if size - start > _TAG_AT_END and read(size - _TAG_AT_END, size - _TAG_AT_END + 3) == b"TAG":
        end -= _TAG_AT_END
    first = _first_frame(read, start, end)
    if first is None:
        return AudioProperties(seconds=0.0 if start >= size else None, is_whole=False)
    at, frame = first
    header_counts = _header_counts(read(at, min(at + frame.length, end)), frame)
    if header_counts is not None:
        frames, stated = header_counts
        seconds = frames * frame.samples / frame.rate
        there = end - at
        is_whole = stated is None or there >= stated
        if not is_whole and stated:
            seconds *= there / stated
        return AudioProperties(seconds=seconds, channels=frame.channels, rate=frame.rate, is_whole=is_whole)
    return _scan_frames(read, at, end, frame)


def _end_of_tags(read: ReadBytes, size: int) -> int:
    """Return the offset of the first byte after the leading ID3v2 tags."""
    at = 0
    while at + 10 <= size:
        tag = read(at, at + 10)
        if tag[:3] != b"ID3" or any(part & 0x80 for part in tag[6:10]):
            break
        length = tag[6] << 21 | tag[7] << 14 | tag[8] << 7 | tag[9]
        at += 10 + length + (10 if tag[5] & 0x10 else 0)
    return at


def _first_frame(read: ReadBytes, start: int, end: int) -> tuple[int, _Frame] | None:
    """Return the offset and header of the first frame, or None if no frame is found.

    Another frame or the end of the file must follow the first frame.
    """
    data = read(start, min(start + _SEARCHED, end)) if start < end else b""
    at = -1
    while (at := data.find(b"\xff", at + 1)) >= 0:
        frame = _frame(data[at : at + 4])
        if frame is not None:
            behind = data[at + frame.length : at + frame.length + 4]
            if _frame(behind) is not None or start + at + frame.length >= end:
                return start + at, frame
    return None


def _header_counts(data: bytes, frame: _Frame) -> tuple[int, int | None] | None:
    """Read the frame count and the byte count from a header in the first frame.

    The header is a Xing, Info or VBRI header. Without such a header, the result is None.
    """
    at = 4 + frame.side
    if data[at : at + 4] in (b"Xing", b"Info"):
        flags = int.from_bytes(data[at + 4 : at + 8], "big")
        if flags & 1 and len(data) >= at + 16:
            stated = int.from_bytes(data[at + 12 : at + 16], "big") if flags & 2 else None
            return int.from_bytes(data[at + 8 : at + 12], "big"), stated
    if data[36:40] == b"VBRI" and len(data) >= 54:
        return int.from_bytes(data[50:54], "big"), int.from_bytes(data[46:50], "big")
    return None


def _scan_frames(read: ReadBytes, at: int, end: int, first: _Frame) -> AudioProperties:
    """Scan the frames to determine the audio properties.

    If the bit rate is constant, the file size determines the duration. Otherwise the scan counts every frame.
    """
    properties = AudioProperties(channels=first.channels, rate=first.rate)
    frames, changes, start = 0, False, at
    data, base = b"", at
    is_whole = False
    while at + 4 <= end:
        if at + 4 > base + len(data):
            data, base = read(at, min(at + _SEARCHED, end)), at
        frame = _frame(data[at - base : at - base + 4])
        if frame is None:
            break
        changes = changes or frame.bit_rate != first.bit_rate
        if frames == _LOOKED_AT and not changes:
            return attrs.evolve(properties, seconds=(end - start) * 8 / first.bit_rate)
        if at + frame.length > end:
            break
        frames += 1
        at += frame.length
        is_whole = at == end
    return attrs.evolve(properties, seconds=frames * first.samples / first.rate, is_whole=is_whole)
