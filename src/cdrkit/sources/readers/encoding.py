"""Check a file's text encoding, and skip its byte order mark."""

from __future__ import annotations

import codecs
from typing import Final

from cdrkit.errors import ConfigError

__all__ = ["BYTE_ORDER_MARK", "check_encoding"]

#: The first bytes of a UTF-8 file that some programs write. They are not part of its text.
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def check_encoding(value: str) -> str:
    """Validate a text encoding, and return its canonical name.

    The readers split bytes at line ends, separators and quotes. An encoding is therefore accepted only if it encodes
    the ASCII characters as ASCII does.

    Example:
        >>> check_encoding("latin-1"), check_encoding("UTF8")
        ('iso8859-1', 'utf-8')

    Args:
        value: A name that Python knows, such as ``utf-8`` or ``latin-1``.

    Returns:
        The name of the codec. ``utf-8-sig`` becomes ``utf-8``: the readers remove a byte order mark themselves.

    Raises:
        ConfigError: When the encoding is unknown, or encodes ASCII characters differently, as ``utf-16`` does.
    """
    ascii_bytes = bytes(range(32, 127)) + b"\t\r\n"
    try:
        name = codecs.lookup(value).name
        if ascii_bytes.decode(name) != ascii_bytes.decode("ascii"):
            raise ValueError("the encoding is not compatible with ASCII")
    except (LookupError, TypeError, ValueError) as exc:
        raise ConfigError(
            f"The encoding {value!r} is not supported: {exc}. Give 'utf-8' or 'latin-1'."
        ) from exc
    return "utf-8" if name == "utf-8-sig" else name
