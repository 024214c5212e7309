"""A slice of `tests.property.fuzzing`: the corpus as it is and made worse. PGVEIL_FUZZ_SEED repeats it."""

import os
import random
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.copyfields import CopyFields
from proxy.wire.copyrows import SIGNATURE, BadCopy, CopyFormat, CopyRows
from tests.kit import copydata
from tests.kit.mutation import mutate
from tests.property import fuzzing

SEED: Final = os.environ.get("PGVEIL_FUZZ_SEED") or str(random.SystemRandom().randrange(10**9))
INPUTS: Final = int(os.environ.get("PGVEIL_FUZZ_INPUTS", "150"))
SEEDS: Final = fuzzing.seeds()


@pytest.mark.parametrize("part", [0, 1, 2, 3])
def test_a_session_raises_nothing_whatever_comes(part: int) -> None:
    dice = random.Random(f"{SEED}-{part}")
    for _ in range(INPUTS):
        one = mutate(dice.choice(SEEDS), SEEDS, dice)
        how = fuzzing.tried(one, dice)
        try:
            fuzzing.play(one, **how)
        except BaseException as error:
            error.add_note(f"PGVEIL_FUZZ_SEED={SEED}, {how}, {one!r}")
            raise


def test_the_corpus_is_worth_something() -> None:
    """It logs in, asks and reveals."""
    kinds = {data[:1] for one in SEEDS for kind, data in one if isinstance(data, bytes) and kind == "c"}
    assert len(SEEDS) > 100 and kinds >= {b"Q", b"P", b"B", b"E", b"D", b"C", b"S", b"d", b"c", b"f", b"\0"}
    link = fuzzing.play(SEEDS[-2], held=False, raw=True)
    assert link.to_server


# ---- COPY ----------------------------------------------------------------------------------------------------------


@given(st.randoms(use_true_random=False), st.binary(max_size=80), st.integers(1, 80), st.sampled_from((15, 18)))
def test_copy_of_anything_is_read_or_is_bad(dice: random.Random, data: bytes, size: int, version: int) -> None:
    form, _ = copydata.form(dice, version)
    at = dice.randrange(len(data) + 1)
    mixed = data[:at] + copydata.stream(dice, form) + data[at:]
    try:
        copydata.changed(form, mixed, size, b"~")
    except BadCopy:
        return


@given(st.binary(max_size=80), st.integers(1, 80), st.booleans())
def test_binary_copy_of_anything_is_read_or_is_bad(data: bytes, size: int, signed: bool) -> None:
    form = CopyFormat("binary")
    rows, fields = CopyRows(form), CopyFields(form)
    whole = (SIGNATURE + bytes(8) if signed else b"") + data
    try:
        parts = [part for at in range(0, len(whole), size) for part in rows.feed(whole[at : at + size])] + rows.finish()
        found = fields.split(parts)
        fields.join(parts, found)
    except BadCopy:
        return
