"""FunctionCall (fastpath): what drivers use it for, large objects, passes; any other function might read a protected
table, or change what names mean, and says so in no text."""

from typing import Final

from proxy.errors import Refusal

# lo_open, lo_close, loread, lowrite, lo_lseek, lo_creat, lo_tell, lo_create, lo_unlink, lo_truncate, lo_lseek64,
# lo_tell64, lo_truncate64 (pg_proc.dat): what libpq and pgjdbc send.
LARGE_OBJECTS: Final = frozenset((952, 953, 954, 955, 956, 957, 958, 715, 964, 1004, 3170, 3171, 3172))


def refusal(oid: int) -> Refusal | None:
    """Why it is not called in a database with protected tables; None if it may be."""
    if oid in LARGE_OBJECTS:
        return None
    return Refusal(
        "unsupported-statement",
        f"a FunctionCall message for function {oid}, in a database with protected tables",
        "Call it in a SELECT statement; large objects are served.",
    )
