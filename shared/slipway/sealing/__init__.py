"""Sealing: the only door to `cryptography`.

The master key pair belongs to the installation; its private half only to builder and deployer.
Each organization has a key pair: its public half stands in `organization.created`, its private
half is sealed to the master's public half (KV `keys`). So the gateway can seal a tenant's secrets
and can't open them.
"""

from slipway.sealing.box import (
    CannotOpen,
    KeyPair,
    Opener,
    OrganizationKey,
    generate,
    open_sealed,
    place,
    public_half,
    public_of,
    seal,
    unwrap,
    wrap,
)

__all__ = [
    "CannotOpen",
    "KeyPair",
    "Opener",
    "OrganizationKey",
    "generate",
    "open_sealed",
    "place",
    "public_half",
    "public_of",
    "seal",
    "unwrap",
    "wrap",
]
