"""The installation: brings one instance of Slipway up, takes it down, removes it.

Runs inside the control image with the engine's socket, so the machine needs no Python of its own.
"""
