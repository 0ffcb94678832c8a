"""Ogg files: the properties of Opus, Vorbis and Speex (RFC 3533, RFC 7845)."""

from __future__ import annotations

from typing import Final

from cdrkit._recordings.audio.properties import AudioProperties, ReadBytes, read_uint

__all__ = ["ogg_properties"]

_LAST_BYTES: Final = 131_072  # two pages: no page is longer than 65,307 bytes
_NO_PACKET_ENDS: Final = 2**64 - 1
_LAST_PAGE: Final = 4
_OPUS_RATE: Final = 48_000


def ogg_properties(read: ReadBytes, size: int) -> AudioProperties:
    """Return the properties of an Ogg file of *size* bytes.

    The file's first header and last page contain the properties.
    """
    first = read(0, min(27 + 255 + 40, size))
    if len(first) < 28:
        return AudioProperties(is_whole=False)
    serial, packet = first[14:18], first[27 + first[26] :]
    skipped = 0
    if packet.startswith(b"OpusHead") and len(packet) >= 16:
        channels, skipped, rate = packet[9], read_uint(packet, 10, 2), _OPUS_RATE
    elif packet.startswith(b"\x01vorbis") and len(packet) >= 16:
        channels, rate = packet[11], read_uint(packet, 12, 4)
    elif packet.startswith(b"Speex   ") and len(packet) >= 52:
        channels, rate = read_uint(packet, 48, 4), read_uint(packet, 36, 4)
    else:
        return AudioProperties()
    position, is_last = _end_of_stream(read, size, serial)
    if position is None or not rate:
        return AudioProperties(channels=channels, rate=rate or None, is_whole=False)
    return AudioProperties(
        seconds=max(position - skipped, 0) / rate, channels=channels or None, rate=rate, is_whole=is_last
    )


def _end_of_stream(read: ReadBytes, size: int, serial: bytes) -> tuple[int | None, bool]:
    """Return the granule position of the last complete Ogg page.

    Also return whether that page is marked as the last page of the stream.
    """
    start = max(0, size - _LAST_BYTES)
    data = read(start, size)
    at = len(data)
    while (at := data.rfind(b"OggS", 0, at)) >= 0:
        segments = data[at + 27 : at + 27 + (data[at + 26] if at + 26 < len(data) else 0)]
        position = read_uint(data, at + 6, 8)
        whole = at + 27 <= len(data) and at + 27 + len(segments) + sum(segments) <= len(data)
        if whole and data[at + 14 : at + 18] == serial and position != _NO_PACKET_ENDS:
            return position, bool(data[at + 5] & _LAST_PAGE)
    return None, False
