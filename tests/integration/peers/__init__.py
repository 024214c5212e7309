"""How peers failed, as scenarios: the number in a test's name is the scenario's number in our list of 114.

A number stands in a test's name (test_peer_69_…, test_077_… here), in the name of a case of tests/corpus ("(peer 18)")
or in the title of a transcript ("(peer failure 51)"); `test_numbers` sees to it that none is missing. Those of which
nothing can be shown yet, with the issue that they belong to:

    issue   scenarios
    5       95 97                 memory over a million statements; latency by percentile
    6       9 14 47               a canary written by `check`; JSON; tokens that have no policy any more
    7       90 109                keys that expire; the vault in the application's own database
    8       89 107                the admin port: who may do what; errors shown in the console

Shown in part only, the rest with its issue: 29 (pg_dump) in 5; 8, 104, 110 (MERGE) and 28 (functions) in 6; 98-100 on
other stores in 7. What pgveil does not do yet is refused in these tests, by 0A000.
"""
