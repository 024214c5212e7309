-- schema: shop
-- run: script

PREPARE q (text) AS SELECT id, email FROM customers WHERE email = $1 ORDER BY id;
EXECUTE q ('ann@x.org');
EXECUTE q ($$bob@x.org$$);
EXECUTE q (E'b\x6fb@x.org');
EXECUTE q (NULL);
EXECUTE q ('nobody@x.org'); EXECUTE q ('cy@y.net');
EXECUTE q;
EXECUTE q ('ann@x.org', 'bob@x.org');
PREPARE q AS SELECT 1;
EXPLAIN (COSTS OFF, ANALYZE, TIMING OFF, SUMMARY OFF, BUFFERS OFF) EXECUTE nosuch ('x');
BEGIN;
EXECUTE q ('ann@x.org');
EXECUTE nosuch ('x');
EXECUTE q ('ann@x.org');
ROLLBACK;
EXECUTE q ('ann@x.org');
-- refused
EXECUTE q ('ann@x.org'::text);
-- refused
EXECUTE q ('ann' || '@x.org');
DEALLOCATE q;
EXECUTE q ('ann@x.org');
PREPARE q AS SELECT name FROM products WHERE name = $1;
EXECUTE q ('apple');
DEALLOCATE ALL;
PREPARE i (int, varchar, text) AS INSERT INTO customers (id, email, full_name) VALUES ($1, $2, $3) RETURNING *;
EXECUTE i (80, 'p80@x.org', 'P Eighty');
EXECUTE i (81, 'p81@x.org', NULL);
EXECUTE i (82, 'p80@x.org', 'again');
EXECUTE i ('83', 'p83@x.org', '0123456789012345678901234567890123456789012345678901234567890');
PREPARE u AS UPDATE customers SET email = $2, note = $3 WHERE id = $1 RETURNING id, email, note;
EXECUTE u (80, 'p80b@x.org', 'first');
EXECUTE u (80, 'p80c@x.org', 'p80c@x.org');
PREPARE d AS DELETE FROM customers WHERE email = $1 OR full_name = $2;
EXECUTE d ('p80c@x.org', 'nobody');
PREPARE a (text[]) AS SELECT id FROM customers WHERE email = ANY($1) ORDER BY id;
EXECUTE a ('{ann@x.org,"bob@x.org"}');
PREPARE m (date, int, numeric, timestamptz, uuid) AS SELECT id FROM measures WHERE born = $1 OR score = $2 OR balance = $3 OR seen = $4 OR tag = $5 ORDER BY id;
EXECUTE m ('1990-02-28', '7', '10.5', '2020-01-02 03:04:05+00', '6ba7b810-9dad-11d1-80b4-00c04fd430c1');
EXECUTE m ('Feb 28 1990', '-5', '0.00', '1999-12-31 23:59:59+00', NULL);
EXECUTE m ('nonsense', '-5', '0.00', '1999-12-31 23:59:59+00', NULL);
PREPARE mi AS INSERT INTO measures (id, born, score) VALUES ($1, $2, $3) RETURNING id, born, score;
EXECUTE mi (90, '2001-02-03', '4');
-- refused
PREPARE w (text) AS INSERT INTO customers (id, email, note) VALUES (84, $1, $1);
-- refused
PREPARE l AS SELECT id FROM customers WHERE email = 'ann@x.org';
PREPARE v AS INSERT INTO newsletter (id, email, topic) VALUES ($1, 'fixed@x.org', 'x') RETURNING email;
EXECUTE v (70);
EXECUTE v (71);
PREPARE s AS SELECT c.email, n.topic FROM customers c JOIN newsletter n USING (email) WHERE c.email IN ($1, $2) AND n.topic = $3 ORDER BY n.id;
EXECUTE s ('ann@x.org', 'cy@y.net', 'sport');
PREPARE c AS SELECT count(*) FROM customers;
EXECUTE c;
EXPLAIN (COSTS OFF) EXECUTE c;
-- refused
CREATE TEMP TABLE t AS EXECUTE s ('ann@x.org', 'cy@y.net', 'sport');
PREPARE big (bigint) AS SELECT id FROM customers WHERE id = $1;
EXECUTE big (1);
PREPARE nosuch AS SELECT nosuch FROM customers;
SET search_path = sales;
-- refused
EXECUTE s ('ann@x.org', 'cy@y.net', 'sport');
SET search_path = public;
DISCARD ALL;
EXECUTE s ('ann@x.org', 'cy@y.net', 'sport');
