-- schema: shop
-- equal

-- Plans with no value of a protected column in them are those of a plaintext database.
EXPLAIN (COSTS OFF) SELECT * FROM customers WHERE id = 1;
EXPLAIN (COSTS OFF, VERBOSE) SELECT email, full_name FROM customers WHERE note = 'first';
EXPLAIN (COSTS OFF) SELECT c.email FROM customers c JOIN orders o ON o.customer = c.id WHERE c.email IS NOT NULL;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) INSERT INTO customers (id, email) VALUES (70, 'e70@x.org');
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) UPDATE newsletter SET email = 'e71@x.org' WHERE id = 2;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) INSERT INTO customers (id, email) VALUES (1, 'e72@x.org');
EXPLAIN (FORMAT 'yaml', COSTS 'off') DELETE FROM newsletter WHERE id = 1;
-- with: [3]
EXPLAIN (COSTS OFF) SELECT email FROM customers WHERE id = $1;
EXPLAIN (COSTS OFF) SELECT * FROM nosuch;
EXPLAIN (NOSUCH) SELECT email FROM customers;
EXPLAIN (COSTS OFF) SELECT nosuch FROM customers;
