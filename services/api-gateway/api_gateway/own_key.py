"""The gateway's own key: what it seals for itself, and what follows from a text for it alone."""

import hashlib
import hmac

from pydantic import SecretStr
from slipway import sealing
from slipway.contracts.values import Sealed

_OWNER = "gateway"


class OwnKey:
    def __init__(self, private: SecretStr) -> None:
        self._private = private

    def seal(self, text: str, place: str) -> Sealed:
        return sealing.seal(sealing.public_of(self._text), _OWNER, text, place)

    def open(self, sealed: Sealed, place: str) -> str:
        return sealing.open_sealed(self._text, sealed, place)

    def digest(self, body: bytes) -> str:
        """Tells bodies apart, and tells nothing of what stands in them to who reads the log."""
        return self.secret_of(body)[:32]

    def secret_of(self, text: bytes) -> str:
        """64 characters that always follow from the text, and that nobody else can tell."""
        return hmac.new(self._text.encode(), text, hashlib.sha256).hexdigest()

    @property
    def _text(self) -> str:
        return self._private.get_secret_value()
