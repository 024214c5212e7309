-- schema: shop
-- run: script

-- Writes as ORMs make them: batches through arrays, VALUES and CASE, values that COALESCE and NULLIF choose.
-- Django: bulk_create with server-side and client-side binding
-- with: ["{dora@example.com,emil@example.com}", "{101,102}", "{Dora,NULL}"]
INSERT INTO "customers" ("email", "id", "full_name") SELECT * FROM UNNEST(($1)::varchar[], ($2)::integer[], ($3)::varchar[]) RETURNING "customers"."id", "customers"."email";
INSERT INTO "customers" ("email", "id", "full_name") SELECT * FROM UNNEST(('{fritz@example.com,"g, h@example.com"}')::varchar[], ('{103,104}')::integer[], (ARRAY['Fritz','G'])::varchar[]) RETURNING "customers"."id", "customers"."email", full_name;
-- with: ["{h1@example.com,h2@example.com}", "{105,106}"]
INSERT INTO customers (id, email) SELECT i, e FROM unnest($2::int[], $1::text[]) AS t(i, e) ON CONFLICT (email) DO UPDATE SET full_name = 'twice' RETURNING id, email;
-- with: ["{6f2c2b1e-0c46-4d07-a1f5-6a5c3f0e8a11,NULL}"]
INSERT INTO customers (id, ref) SELECT 110 + n, r FROM unnest($1::uuid[]) WITH ORDINALITY AS t(r, n);
INSERT INTO customers (id, ref) SELECT 120 + n, r FROM unnest('{6f2c2b1e-0c46-4d07-a1f5-6a5c3f0e8a12}'::uuid[]) WITH ORDINALITY AS t(r, n);
SELECT id FROM customers WHERE ref IN (SELECT unnest('{6f2c2b1e-0c46-4d07-a1f5-6a5c3f0e8a11}'::uuid[])) ORDER BY id;
SELECT id FROM customers c JOIN (VALUES ('6f2c2b1e-0c46-4d07-a1f5-6a5c3f0e8a12'::uuid, 1), (NULL, 2)) v(r, n) ON v.r = c.ref ORDER BY id;
UPDATE customers SET ref = CASE WHEN id = 111 THEN '6f2c2b1e-0c46-4d07-a1f5-6a5c3f0e8a13'::uuid ELSE ref END WHERE id > 110 RETURNING id, ref;
-- Django: bulk_update
UPDATE "customers" SET "email" = (CASE WHEN ("customers"."id" = 101) THEN 'dora2@example.com' WHEN ("customers"."id" = 102) THEN 'emil2@example.com' ELSE NULL END)::text, "full_name" = (CASE WHEN ("customers"."id" = 101) THEN 'Dora II' WHEN ("customers"."id" = 102) THEN NULL ELSE NULL END)::varchar(60) WHERE "customers"."id" IN (101, 102);
-- with: ["101", "dora3@example.com", "102", "emil3@example.com"]
UPDATE "customers" SET "email" = (CASE WHEN ("customers"."id" = ($1)::int) THEN $2 WHEN ("customers"."id" = ($3)::int) THEN $4 ELSE NULL END)::text WHERE "customers"."id" IN (101, 102);
SELECT id, email, full_name FROM customers WHERE id > 100 ORDER BY id;
-- with: ["1990-01-02", "7"]
INSERT INTO measures (id, born, score) VALUES (201, CAST(CASE WHEN true THEN $1 ELSE NULL END AS date), (CASE 1 WHEN 2 THEN NULL ELSE $2 END)::integer);
-- with: ["1990-01-02"]
INSERT INTO measures (id, born) VALUES (202, COALESCE($1::date, '1970-01-01'));
INSERT INTO measures (id, born, balance, score) VALUES (203, COALESCE(NULL, '1970-01-01'::date), COALESCE(NULL, 1.50), COALESCE(NULL, 5));
UPDATE measures SET born = (CASE WHEN id = 201 THEN '1991-01-02' WHEN id = 202 THEN '1992-02-03' ELSE NULL END)::date WHERE id IN (201, 202) RETURNING id, born;
SELECT id, born, score, balance FROM measures WHERE id > 200 ORDER BY id;
-- what is given, else what is there
-- with: ["zoe@example.net", null, "101"]
UPDATE customers SET email = COALESCE($1, email), full_name = COALESCE($2, full_name) WHERE id = $3 RETURNING email, full_name;
-- with: ["", "x", "101"]
UPDATE customers SET phone = NULLIF($1, ''), full_name = NULLIF($2, '') WHERE id = $3 RETURNING phone, full_name;
UPDATE customers SET phone = NULLIF('+1 212 555 0199', ''), full_name = COALESCE(NULLIF('', ''), full_name, 'none') WHERE id = 102 RETURNING phone, full_name;
-- from a list
-- with: ["101", "v1@example.com", "102", null]
UPDATE customers SET email = v.email FROM (VALUES ($1::int, $2), ($3::int, $4)) AS v(id, email) WHERE customers.id = v.id RETURNING customers.id, customers.email;
UPDATE customers AS c SET email = COALESCE(v.email, c.email), full_name = v.name FROM (VALUES (101, 'w1@example.com', 'W'), (103, NULL, 'X')) AS v(id, email, name) WHERE c.id = v.id RETURNING c.id, c.email, c.full_name;
WITH v(id, email) AS (VALUES (101, 'u1@example.com'), (104, 'u4@example.com')) UPDATE customers SET email = v.email FROM v WHERE v.id = customers.id AND customers.email IS DISTINCT FROM v.email RETURNING customers.email;
-- with: ["{101,102}", "{t1@example.com,t2@example.com}"]
UPDATE customers c SET email = d.email FROM (SELECT unnest($1::int[]) AS id, unnest($2::text[]) AS email) AS d WHERE c.id = d.id RETURNING c.id, c.email;
DELETE FROM customers USING (VALUES ('t2@example.com'), ('nobody@example.com')) AS v(email) WHERE customers.email = v.email RETURNING id;
-- unless it is there
INSERT INTO customers (id, email) SELECT * FROM (SELECT 130, 'n1@example.com') AS tmp WHERE NOT EXISTS (SELECT 1 FROM customers WHERE email = 'n1@example.com') LIMIT 1;
INSERT INTO customers (id, email) SELECT * FROM (SELECT 131, 'n1@example.com') AS tmp WHERE NOT EXISTS (SELECT 1 FROM customers WHERE email = 'n1@example.com') LIMIT 1;
-- with: ["n1@example.com", "132"]
INSERT INTO customers (id, email) SELECT $2, $1 WHERE NOT EXISTS (SELECT 1 FROM customers WHERE email = $1);
-- with: ["n2@example.com", "133"]
WITH v AS (SELECT $1 AS email, $2::int AS id) INSERT INTO customers (id, email) SELECT id, email FROM v WHERE NOT EXISTS (SELECT 1 FROM customers c WHERE c.email = v.email) RETURNING id, email;
WITH v(id, e) AS (VALUES (134, 'n2@example.com'), (135, 'n3@example.com')), i AS (INSERT INTO customers (id, email) SELECT id, e FROM v WHERE e NOT IN (SELECT email FROM customers WHERE email IS NOT NULL) RETURNING id, email) SELECT id, email FROM i;
SELECT id, email FROM customers WHERE id BETWEEN 130 AND 139 ORDER BY id;
-- rows by UNION ALL
INSERT INTO customers (id, email, note) SELECT 140, 'o1@example.com', 'a' UNION ALL SELECT 141, 'o2@example.com', NULL UNION ALL SELECT 142, NULL, 'c';
-- SQLAlchemy: insertmanyvalues
-- with: ["150", "p1@example.com", "Pea", "151", "p2@example.com", null]
INSERT INTO customers (id, email, full_name) SELECT p0::INTEGER, p1::VARCHAR(200), p2::VARCHAR(60) FROM (VALUES ($1, $2, $3, 0), ($4, $5, $6, 1)) AS imp_sen(p0, p1, p2, sen_counter) ORDER BY sen_counter RETURNING customers.id, customers.id AS id__1;
INSERT INTO codes (id, code, name) SELECT p0::INTEGER, p1::CHAR(2), p2::VARCHAR(3) FROM (VALUES ('160', 'DEU', 'Deutschland', 0), ('161', 'FR', 'F', 1)) AS imp_sen(p0, p1, p2, sen_counter) ORDER BY sen_counter RETURNING id, code, name;
INSERT INTO measures (id, balance, born) SELECT p0::INTEGER, p1::NUMERIC(10, 2), p2::DATE FROM (VALUES ('210', '12.345', '2001-02-03', 0), ('211', NULL, NULL, 1)) AS imp_sen(p0, p1, p2, sen_counter) ORDER BY sen_counter RETURNING id, balance, born;
-- optional filters
SELECT id FROM customers WHERE ('t1@example.com' IS NULL OR email = 't1@example.com') AND (CAST('x' AS varchar) IS NULL OR full_name = 'W') ORDER BY id;
-- with: ["t1@example.com", null]
SELECT id FROM customers WHERE ($1::text IS NULL OR email = $1) AND ($2::text IS NULL OR full_name = $2) ORDER BY id;
SELECT id FROM customers WHERE COALESCE(email, '') = '' ORDER BY id;
SELECT id FROM customers WHERE COALESCE(email, '') <> '' AND email IN (VALUES ('t1@example.com'), ('p1@example.com')) ORDER BY id;
-- with: ["t1@example.com"]
SELECT id FROM customers WHERE email = COALESCE($1, email) ORDER BY id;
SELECT id, CASE email WHEN 't1@example.com' THEN 'hers' ELSE 'other' END AS whose FROM customers WHERE id > 100 ORDER BY id;
SELECT c.id, COALESCE(c.email, n.email) AS e, NULLIF(c.full_name, 'W') AS w FROM customers c LEFT JOIN newsletter n ON n.id = c.id WHERE c.id > 100 ORDER BY c.id;
-- values of another type of moments and numbers than the column's: assigned, and compared
SET TimeZone = 'Europe/Berlin';
INSERT INTO measures (id, seen, born, score, balance) VALUES (301, '2020-05-05 01:02:03'::timestamp, '2020-05-05 23:30:00'::timestamp, 7.5, 3), (302, '2020-01-05'::date, '2020-05-05 23:30:00+00'::timestamptz, -7.5, 1.005), (303, '2020-03-29 02:30:00'::timestamp, '2020-07-07', 8::bigint, 1e3), (304, 'infinity'::timestamp, '-infinity'::timestamptz, 2.5, 2::int) RETURNING *;
SELECT id FROM measures WHERE seen = '2020-05-05 01:02:03'::timestamp OR seen = '2020-01-05'::date OR seen = '2020-03-29 03:30:00'::timestamp OR seen = 'infinity'::date ORDER BY id;
SELECT id FROM measures WHERE born = '2020-05-05'::timestamp OR born = '2020-05-06 00:00:00+02'::timestamptz ORDER BY id;
SELECT id FROM measures WHERE born = '2020-05-05 10:00'::timestamp OR score = 8.5 OR score = 5000000000 OR score = 99999999999999999999 OR balance = 1.005 ORDER BY id;
SELECT id FROM measures WHERE score = 8.0 OR score = '-8'::bigint OR balance = 1.010 OR balance = 1000::int ORDER BY id;
SELECT id FROM measures WHERE score <> 8.5 AND id > 300 ORDER BY id;
SELECT id FROM measures WHERE score IN (8, 8.5) OR score = ANY ('{5000000000,3}'::bigint[]) ORDER BY id;
INSERT INTO measures (id, score) VALUES (305, 5000000000);
INSERT INTO measures (id, score) VALUES (305, 2147483647.5);
INSERT INTO measures (id, seen) VALUES (305, '4714-01-01 BC'::date);
UPDATE measures SET seen = (CASE WHEN id = 301 THEN '2021-01-01 10:00'::timestamp ELSE NULL END) WHERE id = 301 RETURNING seen;
RESET TimeZone;
SELECT id, seen, born, score, balance FROM measures WHERE id > 300 ORDER BY id;
