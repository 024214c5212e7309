"""Where values live: encrypted under their tokens, with the keys' wrappings and the audit trail.

Reading order: store (what is stored, what a store promises) → crypto → keys → vault → chain, audit. The vault knows
nothing of sessions or policies: `net.answers` translates. Not here: access decisions, masks, normalisers.
"""
