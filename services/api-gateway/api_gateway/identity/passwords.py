"""argon2, away from the event loop and a few at a time: each takes 64 MiB and some 50 ms."""

import asyncio
from functools import cache

from pwdlib import PasswordHash


@cache
def _hasher() -> PasswordHash:
    return PasswordHash.recommended()


_slots = asyncio.Semaphore(2)


async def hash_password(password: str) -> str:
    async with _slots:
        return await asyncio.to_thread(lambda: _hasher().hash(password))


async def verify(password: str, hashed: str) -> bool:
    async with _slots:
        return await asyncio.to_thread(lambda: _hasher().verify(password, hashed))
