"""Signing: tie a cursor or token to an owner, a purpose and an expiry time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Final

import attrs

from cdrkit.errors import ConfigError

__all__ = ["TokenSigner", "check_secret"]

_MIN_BYTES: Final = 16


def check_secret(secret: str | bytes) -> bytes:
    """Validate *secret*, and return it as bytes.

    Raises:
        ConfigError: When *secret* is not a string or bytes, or has fewer than 16 bytes.
    """
    if not isinstance(secret, (str, bytes)):
        raise ConfigError(
            f"secret= is {type(secret).__name__}, not a string or bytes. Give the result of secrets.token_hex()."
        )
    data = secret.encode(errors="surrogatepass") if isinstance(secret, str) else secret
    if len(data) < _MIN_BYTES:
        raise ConfigError(
            f"secret= has only {len(data)} bytes. Give at least {_MIN_BYTES} random bytes, such as the result of "
            "secrets.token_hex(), and do not store them in source code."
        )
    return data


@attrs.frozen
class TokenSigner:
    """A signer of strings that belong to one owner.

    The signatures use HMAC-SHA-256 (RFC 2104).

    Attributes:
        secret: The secret of the application.
        owner: The owner of the strings. A signature made for one owner is invalid for any other.
    """

    secret: bytes = attrs.field(repr=False)
    owner: str

    def sign(self, purpose: str, text: str, seconds: int) -> str:
        """Return a URL-safe signature of *text*; the signature includes an expiry time.

        Args:
            purpose: The purpose of the text. The signature is invalid for any other purpose.
            text: The text.
            seconds: The lifetime of the signature in seconds, from now.
        """
        until = int(time.time()) + seconds
        return f"{until}.{self._digest(purpose, text, until)}"

    def verify(self, purpose: str, text: str, signature: str | None) -> bool:
        """Return whether *signature* is valid for this text, purpose and owner."""
        until, _, digest = (signature or "").partition(".")
        if not until.isascii() or not until.isdigit() or len(until) > 15 or not digest.isascii():
            return False
        expected = self._digest(purpose, text, int(until))
        return hmac.compare_digest(expected, digest) and time.time() < int(until)

    def _digest(self, purpose: str, text: str, until: int) -> str:
        signed = json.dumps([purpose, self.owner, until, text]).encode()
        return base64.urlsafe_b64encode(hmac.digest(self.secret, signed, hashlib.sha256)).decode().rstrip("=")
