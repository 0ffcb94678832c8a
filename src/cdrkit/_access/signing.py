"""Signatures of texts that go out and come back: whose they are, what they are for, and how long they are good."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Final

import attrs

from cdrkit.errors import ConfigError

__all__ = ["Seals", "checked_secret"]

_SHORTEST: Final = 16


def checked_secret(secret: str | bytes) -> bytes:
    """Return *secret* as bytes.

    Raises:
        ConfigError: When it is not a text or bytes, or so short that it could be guessed.
    """
    if not isinstance(secret, (str, bytes)):
        raise ConfigError("secret= is a text or bytes, such as secrets.token_hex() gives.")
    found = secret.encode(errors="surrogatepass") if isinstance(secret, str) else secret
    if len(found) < _SHORTEST:
        raise ConfigError(
            f"secret= has {len(found)} bytes; give at least {_SHORTEST} that nobody can guess, such as "
            "secrets.token_hex() gives, and keep them out of the code."
        )
    return found


@attrs.frozen
class Seals:
    """What signs for one owner (HMAC-SHA-256, RFC 2104).

    Attributes:
        secret: The application's.
        owner: Whom the texts are for, as a text; another owner's seal does not hold.
    """

    secret: bytes = attrs.field(repr=False)
    owner: str

    def seal(self, purpose: str, text: str, seconds: int) -> str:
        """Return the seal of *text*: until when it is good, and the signature; safe in a URL."""
        until = int(time.time()) + seconds
        return f"{until}.{self._signature(purpose, text, until)}"

    def holds(self, purpose: str, text: str, seal: str | None) -> bool:
        """Return whether *seal* was made for this text, purpose and owner, and is still good."""
        until, _, signature = (seal or "").partition(".")
        if not until.isascii() or not until.isdigit() or len(until) > 15 or not signature.isascii():
            return False
        genuine = self._signature(purpose, text, int(until))
        return hmac.compare_digest(genuine, signature) and time.time() < int(until)

    def _signature(self, purpose: str, text: str, until: int) -> str:
        signed = json.dumps([purpose, self.owner, until, text]).encode()
        return base64.urlsafe_b64encode(hmac.digest(self.secret, signed, hashlib.sha256)).decode().rstrip("=")
