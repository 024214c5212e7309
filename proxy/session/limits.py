"""Bounds of one link. Their meaning, defaults and reasons stand in the settings table (`proxy.config.Limits`)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """waiting: bytes from the client that may wait. result: bytes of rows that may wait for the vault. statement: bytes
    of a text that is analysed. statements: prepared statements and portals held. message: bytes of one in which values
    are replaced. startup_deadline: on the clock given
    to `tick`. idle: seconds without a statement, outside of a transaction, after which the link ends; 0: none."""

    waiting: int = 1 << 20
    result: int = 4 << 20
    statement: int = 16 << 20
    statements: int = 100_000
    message: int = 64 << 20
    startup_deadline: float = float("inf")
    idle: float = 0.0


DEFAULTS = Limits()
