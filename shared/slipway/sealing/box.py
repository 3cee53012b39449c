"""HPKE (RFC 9180, base mode): X25519, HKDF-SHA256, AES-256-GCM."""

import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from slipway.contracts.values import Scope, Sealed

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_INFO = b"slipway sealing v1/"
"""Before the place: HPKE binds both into the key schedule."""


class CannotOpen(Exception):
    """The key does not fit, or the value was sealed for another place."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Both halves raw, in base64. Printing it shows the public half only."""

    public: str
    private: str

    def __repr__(self) -> str:
        return f"KeyPair(public={self.public!r})"


def generate() -> KeyPair:
    private = X25519PrivateKey.generate()
    return KeyPair(
        base64.b64encode(private.public_key().public_bytes_raw()).decode(),
        base64.b64encode(private.private_bytes_raw()).decode(),
    )


@lru_cache(maxsize=64)
def _private_key(text: str) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(base64.b64decode(text))


@lru_cache(maxsize=64)
def public_of(private: str) -> str:
    return base64.b64encode(_private_key(private).public_key().public_bytes_raw()).decode()


def _encrypt(public: str, plain: bytes, place: str) -> str:
    key = X25519PublicKey.from_public_bytes(base64.b64decode(public))
    return base64.b64encode(_SUITE.encrypt(plain, key, info=_INFO + place.encode())).decode()


def _decrypt(private: str, text: str, place: str) -> bytes:
    try:
        key = _private_key(private)
        return _SUITE.decrypt(base64.b64decode(text), key, info=_INFO + place.encode())
    except (InvalidTag, ValueError) as error:
        raise CannotOpen(place) from error


def seal(public: str, key: str, plain: str, place: str) -> Sealed:
    """`key` is the name under which it can be opened; `place` binds the ciphertext to where it
    stands (for a variable `<organization>/<scope>/<name>`), so that it can't be moved."""
    return Sealed(key=key, text=_encrypt(public, plain.encode(), place))


def open_sealed(private: str, sealed: Sealed, place: str) -> str:
    """Raises CannotOpen."""
    return _decrypt(private, sealed.text, place).decode()


def wrap(master_public: str, pair: KeyPair, organization: str) -> bytes:
    """`<public half>.<private half, sealed to the master's public half>`: one value, so that
    neither is ever there without the other."""
    sealed = _encrypt(master_public, pair.private.encode(), f"key/{organization}")
    return f"{pair.public}.{sealed}".encode()


def public_half(wrapped: bytes) -> str:
    return wrapped.decode().partition(".")[0]


def unwrap(master_private: str, wrapped: bytes, organization: str) -> str:
    """The organization's private half. Raises CannotOpen."""
    sealed = wrapped.decode().partition(".")[2]
    return _decrypt(master_private, sealed, f"key/{organization}").decode()


def place(organization: str, scope: Scope, name: str) -> str:
    """The place of a variable's value."""
    return f"{organization}/{scope}/{name}"


class OrganizationKey:
    """What builder and deployer do with an organization's private half."""

    def __init__(self, organization: str, private: str) -> None:
        self._organization, self._private = organization, private

    def open(self, sealed: Sealed, scope: Scope, name: str) -> str:
        """A variable's value. Raises CannotOpen."""
        return open_sealed(self._private, sealed, place(self._organization, scope, name))

    def seal_object(self, plain: bytes, name: str) -> bytes:
        """`name` binds it to where it lies."""
        where = f"{self._organization}/object/{name}"
        return _encrypt(public_of(self._private), plain, where).encode()

    def open_object(self, sealed: bytes, name: str) -> bytes:
        """Raises CannotOpen."""
        return _decrypt(self._private, sealed.decode(), f"{self._organization}/object/{name}")

    def secret_for(self, purpose: str) -> bytes:
        """32 bytes that nobody without the key can have, another for each purpose."""
        derived = HKDF(hashes.SHA256(), 32, None, b"slipway/" + purpose.encode())
        return derived.derive(base64.b64decode(self._private))


class Opener:
    """The organizations' keys, for builder and deployer. `wrapped_of` reads KV `keys`."""

    def __init__(
        self, master_private: str, wrapped_of: Callable[[str], Awaitable[bytes | None]]
    ) -> None:
        self._master = master_private
        self._wrapped_of = wrapped_of
        self._keys: dict[str, OrganizationKey] = {}

    async def for_organization(self, organization: str) -> OrganizationKey:
        """Raises CannotOpen when there is no key."""
        if organization not in self._keys:
            wrapped = await self._wrapped_of(organization)
            if wrapped is None:
                raise CannotOpen(f"no key of organization {organization}")
            private = unwrap(self._master, wrapped, organization)
            self._keys[organization] = OrganizationKey(organization, private)
        return self._keys[organization]
