"""Ogg with Opus, Vorbis or Speex in it (RFC 3533, RFC 7845)."""

from __future__ import annotations

from typing import Final

from cdrkit._recordings.audio.sound import Piece, Sound, number

__all__ = ["ogg_sound"]

_LAST_BYTES: Final = 131_072  # two pages: no page is longer than 65,307 bytes
_NO_PACKET_ENDS: Final = 2**64 - 1
_LAST_PAGE: Final = 4
_OPUS_RATE: Final = 48_000


def ogg_sound(piece: Piece, size: int) -> Sound:
    """Return what an Ogg file of *size* bytes tells: its header, and the place in time where its last page ends."""
    first = piece(0, min(27 + 255 + 40, size))
    if len(first) < 28:
        return Sound(is_whole=False)
    serial, packet = first[14:18], first[27 + first[26] :]
    skipped = 0
    if packet.startswith(b"OpusHead") and len(packet) >= 16:
        channels, skipped, rate = packet[9], number(packet, 10, 2), _OPUS_RATE
    elif packet.startswith(b"\x01vorbis") and len(packet) >= 16:
        channels, rate = packet[11], number(packet, 12, 4)
    elif packet.startswith(b"Speex   ") and len(packet) >= 52:
        channels, rate = number(packet, 48, 4), number(packet, 36, 4)
    else:
        return Sound()
    position, is_last = _end(piece, size, serial)
    if position is None or not rate:
        return Sound(channels=channels, rate=rate or None, is_whole=False)
    return Sound(
        seconds=max(position - skipped, 0) / rate, channels=channels or None, rate=rate, is_whole=is_last
    )


def _end(piece: Piece, size: int, serial: bytes) -> tuple[int | None, bool]:
    """Return where the stream is after its last whole page, in samples; and whether that page says it is the last."""
    start = max(0, size - _LAST_BYTES)
    data = piece(start, size)
    at = len(data)
    while (at := data.rfind(b"OggS", 0, at)) >= 0:
        segments = data[at + 27 : at + 27 + (data[at + 26] if at + 26 < len(data) else 0)]
        position = number(data, at + 6, 8)
        whole = at + 27 <= len(data) and at + 27 + len(segments) + sum(segments) <= len(data)
        if whole and data[at + 14 : at + 18] == serial and position != _NO_PACKET_ENDS:
            return position, bool(data[at + 5] & _LAST_PAGE)
    return None, False
