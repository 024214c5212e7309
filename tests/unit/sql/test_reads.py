"""Which queries only read."""

import pytest

from proxy.sql.reads import only_reads
from proxy.sql.referee import parse

READS = [
    "select a, b from t where a = 1 order by b limit 3",
    "with x as (select * from t) select count(*), max(a) from x join u using (a) group by b",
    "select pg_catalog.lower(a), now(), row_number() over (order by a) from t for update",
    "select a from t union select coalesce(b, c::text) from u",
    "values (1, 2)",
]
WRITES = [
    "with x as (delete from t returning *) select * from x",
    "with x as (insert into t values (1) returning *) select * from x",
    "with x as (update t set a = 1 returning *) select * from x",
    "select a into u from t",
    "select nextval('s')",
    "select a from t where f(a)",
    "select public.lower(a) from t",
    "select * from setval('s', 1), t",
    "insert into t values (1)",
]


@pytest.mark.parametrize("text", READS)
def test_nothing_is_left_to_undo(text: str) -> None:
    assert only_reads(parse(text.encode())[0].node)


@pytest.mark.parametrize("text", WRITES)
def test_something_may_be(text: str) -> None:
    assert not only_reads(parse(text.encode())[0].node)
