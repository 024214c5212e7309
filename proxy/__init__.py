"""pgveil: a sidecar that speaks the PostgreSQL protocol and keeps personal data out of the database.

Where to look (imports point downwards only; `pyproject.toml` holds the contracts):

    cli            commands
    net  admin     sockets, the vault's caller, the admin port          I/O
    vault          tokens to encrypted values, keys, audit trail        I/O behind `Vault`
    session        one link as a pure state machine                     pure
    sql            what a statement does with protected columns         pure
    wire  policy   frames and types; rules, access, values              pure
    tokens  errors config  observe                                      leaves

A statement's way: `net.link` -> `session.to_server` -> `sql.shape` -> `sql.plan` (miss: `sql.analyze`)
-> `net.answers` (vault, audit) -> server; its answer: `session.ledger` -> `session.to_client` -> `wire.rows`.
"""

__version__ = "0.1.0"
