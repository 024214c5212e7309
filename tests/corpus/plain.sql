-- policy: shop
-- Ordinary SQL around protected columns: all of it stays as it is, and the right columns are revealed.

-- case: names that the server makes up
SELECT t.*, email FROM newsletter, (SELECT count(*), 1 + 1, coalesce(id, 0), array[id], row(id), CASE WHEN true THEN 1 END, greatest(id, 1), least(id, 1), nullif(id, 2), id::text, 'x'::varchar, exists(SELECT 1), array(SELECT 1), (SELECT max(id) FROM orders), (SELECT 1 UNION SELECT 2), NULL, $1, (array[1])[1] FROM orders GROUP BY id) t;
-- sends: same
-- out: 19=email

-- case: a made-up name is found outside
SELECT (SELECT "count" FROM (SELECT count(*) FROM orders) s), email FROM newsletter;
-- sends: same
-- out: 2=email

-- case: CASE is named by its ELSE
SELECT s.id, s."case", n.email FROM newsletter n, (SELECT CASE WHEN true THEN 1 ELSE id END, CASE WHEN true THEN 2 ELSE 3 END FROM orders) s;
-- sends: same
-- out: 3=email

-- case: values of all kinds elsewhere
SELECT email, now(), current_date, date '2000-01-01', interval '1' day, interval '2 hours', x'1f', b'01', 1.5e3, -7, true, NULL::int, extract(year FROM current_timestamp), substring(note FROM 1 FOR 2), position('a' IN note), trim(both 'x' FROM note), overlay(note PLACING 'x' FROM 2), note COLLATE "C", note IS NOT NULL, (id = 1) IS TRUE, note LIKE 'a!_%' ESCAPE '!', note ILIKE $1, note SIMILAR TO 'a', note ~ '^a', id BETWEEN 1 AND 2, id NOT BETWEEN SYMMETRIC 3 AND 1, note || 'x', note IN ('a', 'b'), id = ANY (ARRAY[1, 2]::int[]), id > ALL (SELECT 1), timestamp '2000-01-01' AT TIME ZONE 'UTC' FROM customers;
-- sends: same
-- out: 1=email

-- case: functions that are plain
SELECT email, lower(note), concat_ws(',', note, city), string_agg(DISTINCT note, ',' ORDER BY note) FILTER (WHERE id > 1), percentile_cont(0.5) WITHIN GROUP (ORDER BY id), row_number() OVER (PARTITION BY email, note ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW), sum(id) OVER w FROM customers GROUP BY email, note, city, id WINDOW w AS (PARTITION BY email ORDER BY note) ;
-- sends: same
-- out: 1=email

-- case: JSON
SELECT email, json_build_object('a', note), json_object('k': note), note IS JSON, jsonb_path_query('{}'::jsonb, '$.a') FROM customers;
-- sends: same
-- out: 1=email

-- case: JSON of a protected column (peer 22)
SELECT json_object('k': email) FROM customers;
-- refused: unsupported-expression public.customers.email

-- case: XML of a protected column
SELECT xmlelement(name a, email) FROM customers;
-- refused: unsupported-expression

-- case: grouping sets
SELECT email, note, grouping(email, note), count(*) FROM customers GROUP BY GROUPING SETS ((email), (note), ()), rollup (full_name), cube (city);
-- sends: same
-- out: 1=email

-- case: GROUP BY an output name and a number
SELECT email AS e, note, count(*) FROM customers GROUP BY e, 2 HAVING count(*) > 1 ORDER BY count(*) DESC, note;
-- sends: same
-- out: 1=email
-- pinned: 0

-- case: ORDER BY numbers
SELECT id, email, note FROM customers ORDER BY 1, 3;
-- sends: same
-- out: 2=email
-- pinned: 0, 1

-- case: ORDER BY in a set operation
SELECT id, email FROM customers UNION SELECT id, email FROM newsletter ORDER BY id LIMIT 3 OFFSET $1;
-- sends: same
-- out: 2=email

-- case: ORDER BY a protected column of a set operation
SELECT id, email AS e FROM customers UNION SELECT id, email FROM newsletter ORDER BY e;
-- refused: order-by-protected

-- case: DISTINCT ON
SELECT DISTINCT ON (note, 1) id, email FROM customers ORDER BY note, 1;
-- sends: same
-- out: 2=email

-- case: DISTINCT ON random tokens
SELECT DISTINCT ON (street) id FROM customers;
-- refused: random-token-equality

-- case: row locks, samples, limits
SELECT email FROM customers TABLESAMPLE bernoulli (10) REPEATABLE (5) WHERE id > $1 LIMIT $2 OFFSET 3;
-- sends: same
-- out: 1=email

-- case: FOR UPDATE
SELECT email FROM customers WHERE id = $1 FOR UPDATE SKIP LOCKED;
-- sends: same
-- out: 1=email

-- case: FETCH FIRST WITH TIES
SELECT email FROM customers ORDER BY id FETCH FIRST 3 ROWS WITH TIES;
-- sends: same
-- out: 1=email

-- case: VALUES joined
SELECT c.email, v.b FROM customers c JOIN (VALUES (1, 'x'), (2, NULL)) v(a, b) ON v.a = c.id;
-- sends: same
-- out: 1=email

-- case: VALUES searched in
SELECT id FROM customers WHERE email IN (VALUES ('a@x'));
-- sends
SELECT id FROM customers WHERE email IN (VALUES (‹email a@x›));

-- case: VALUES joined by what is looked for
SELECT c.id, v.n FROM customers c JOIN (VALUES ('a@x', 1), ($1, 2)) v(email, n) ON v.email = c.email WHERE v.email IS NOT NULL;
-- sends
SELECT c.id, v.n FROM customers c JOIN (VALUES (‹email a@x›, 1), ($1, 2)) v(email, n) ON v.email = c.email WHERE v.email IS NOT NULL;
-- params: 1=email search

-- case: VALUES joined and shown
SELECT v.email FROM customers c RIGHT JOIN (VALUES ('a@x')) v(email) ON v.email = c.email;
-- refused: unsupported-expression public.customers.email

-- case: VALUES joined and shown by USING
SELECT email FROM customers c RIGHT JOIN (VALUES ('a@x')) v(email) USING (email);
-- refused: unsupported-expression public.customers.email

-- case: VALUES joined and made a document
WITH v(e) AS (VALUES ('x')) SELECT row_to_json(v) FROM customers c, v WHERE c.email = v.e;
-- refused: unsupported-expression public.customers.email

-- case: VALUES that are compared with something else first
WITH v AS (VALUES ('x')) SELECT note IN (SELECT column1 FROM v) FROM customers c WHERE c.email IN (SELECT column1 FROM v);
-- refused: class-mismatch public.customers.email

-- case: the elements of an array in a subquery
SELECT id FROM customers WHERE email IN (SELECT unnest($1::text[])) OR email = ANY (SELECT u FROM unnest('{a@x}'::varchar[]) u);
-- sends
SELECT id FROM customers WHERE email IN (SELECT unnest($1)) OR email = ANY (SELECT u FROM unnest(‹email[] {a@x}›::text[]) u);
-- params: 1=email search[] ::text

-- case: COALESCE compared
SELECT id FROM customers WHERE coalesce(email, '') <> '' AND full_name = coalesce($1, full_name) AND coalesce(email, $2) = ANY ($3);
-- sends
SELECT id FROM customers WHERE coalesce(email, ‹email ›) <> ‹email › AND full_name = coalesce($1, full_name) AND coalesce(email, $2) = ANY ($3);
-- params: 1=person search, 2=email search, 3=email search[]

-- case: COALESCE of a value shown
SELECT coalesce(email, 'none') FROM customers;
-- refused: unsupported-expression public.customers.email

-- case: CASE of its value
SELECT id FROM customers WHERE CASE email WHEN 'a@x' THEN 1 WHEN $1 THEN 2 END = 1;
-- sends
SELECT id FROM customers WHERE CASE email WHEN ‹email a@x› THEN 1 WHEN $1 THEN 2 END = 1;
-- params: 1=email search

-- case: one of several columns, as a result
SELECT coalesce(c.email, n.email), CASE WHEN c.id = 1 THEN c.email END, nullif(c.full_name, 'x') FROM customers c JOIN newsletter n ON n.id = c.id;
-- sends
SELECT coalesce(c.email, n.email), CASE WHEN c.id = 1 THEN c.email END, nullif(c.full_name, ‹person x›) FROM customers c JOIN newsletter n ON n.id = c.id;
-- out: 1=email, 2=email, 3=person

-- case: an optional filter with its value in the text
SELECT id FROM customers WHERE ('a@x' IS NULL OR email = 'a@x') AND (CAST('b' AS varchar(20)) IS NULL OR full_name = 'b') AND ('2000-01-01'::date IS NOT NULL);
-- sends
SELECT id FROM customers WHERE ('' IS NULL OR email = ‹email a@x›) AND (CAST('' AS varchar(20)) IS NULL OR full_name = ‹person b›) AND ('2000-01-01'::date IS NOT NULL);

-- case: functions in FROM
SELECT n.email, g, u.x, u.ordinality FROM newsletter n, generate_series(1, n.id) g, unnest($1::int[]) WITH ORDINALITY u(x);
-- sends: same
-- out: 1=email

-- case: function in FROM with a column list
SELECT n.email, r.a FROM newsletter n, json_to_record('{"a": 1}') AS r(a int, b varchar(5));
-- sends: same
-- out: 1=email

-- case: function in FROM of a protected column
SELECT w FROM customers, regexp_split_to_table(full_name, ' ') w;
-- refused: unsupported-expression public.customers.full_name

-- case: joins of all kinds
SELECT c.email, o.note FROM customers c LEFT JOIN orders o ON o.customer = c.id AND o.note = 'x' FULL JOIN newsletter n ON n.email = c.email CROSS JOIN leads RIGHT JOIN mail m ON m.id = c.id;
-- sends: same
-- out: 1=email

-- case: USING with an alias
SELECT j.email, c.id FROM customers c JOIN newsletter n USING (email) AS j WHERE j.email = 'a@x';
-- sends
SELECT j.email, c.id FROM customers c JOIN newsletter n USING (email) AS j WHERE j.email = ‹email a@x›;
-- out: 1=email

-- case: FULL JOIN USING a protected column
SELECT * FROM newsletter FULL JOIN (SELECT contact AS email FROM leads) l USING (email);
-- sends: same
-- out: 1=email

-- case: NATURAL JOIN
SELECT * FROM newsletter NATURAL JOIN (SELECT email FROM customers) c;
-- sends: same
-- out: 1=email

-- case: NATURAL JOIN over a protected and a plain column (peer 42)
SELECT * FROM newsletter NATURAL JOIN customers_archive;
-- refused: class-mismatch

-- case: USING with a table that is not known
SELECT 1 FROM newsletter JOIN not_in_the_catalog USING (email);
-- refused: unsupported-expression public.newsletter.email

-- case: SEARCH and CYCLE
WITH RECURSIVE r (a) AS (SELECT id FROM customers UNION ALL SELECT a + 1 FROM r WHERE a < 3) SEARCH DEPTH FIRST BY a SET o CYCLE a SET c TO 'y' DEFAULT 'n' USING p SELECT a FROM r;
-- sends: same

-- case: SEARCH over a protected column
WITH RECURSIVE r (a) AS (SELECT email FROM customers UNION ALL SELECT a FROM r) SEARCH BREADTH FIRST BY a SET o SELECT a FROM r;
-- refused: unsupported-expression

-- case: CTE inside a subquery inside a CTE
WITH a AS (SELECT * FROM (WITH b AS MATERIALIZED (SELECT email FROM customers) SELECT email FROM b) x) SELECT (SELECT max(1) FROM a), email FROM a;
-- sends: same
-- out: 2=email

-- case: UPDATE with everything
WITH x AS (SELECT id FROM orders) UPDATE customers AS c SET email = $1, (full_name, note) = (SELECT full_name, name FROM sales.people p, sales.customers, (VALUES ('x')) v(name) WHERE p.id = 1) FROM x WHERE c.id = x.id RETURNING c.email, x.id, old.email AS before, new.full_name;
-- refused: unsupported-expression public.customers.full_name

-- case: UPDATE … RETURNING old and new
UPDATE customers SET email = 'b@x' WHERE id = 1 RETURNING old.email, new.email, WITH_IT.note;
-- refused: undefined-table

-- case: RETURNING with names for old and new
UPDATE customers SET email = 'b@x' WHERE id = 1 RETURNING WITH (OLD AS o, NEW AS n) o.email, n.full_name, note;
-- sends
UPDATE customers SET email = ‹email b@x› WHERE id = 1 RETURNING WITH (OLD AS o, NEW AS n) o.email, n.full_name, note;
-- out: 1=email, 2=person

-- case: array and field targets
UPDATE mail SET tags[1] = 'x', tags[2:3] = '{a,b}', body = 'y' WHERE sender = 'a@x';
-- sends
UPDATE mail SET tags[1] = 'x', tags[2:3] = '{a,b}', body = 'y' WHERE sender = ‹email a@x›;

-- case: a part of a protected column
UPDATE customers SET email[1] = 'x';
-- refused: unsupported-expression public.customers.email

-- case: INSERT … SELECT with everything
INSERT INTO newsletter (id, email, since) SELECT DISTINCT c.id, c.email, date '2000-01-01' FROM customers c WHERE c.note = $1 ORDER BY c.id LIMIT 5;
-- sends: same

-- case: INSERT … VALUES with a CTE and a limit
WITH w AS (SELECT 7 AS n) INSERT INTO newsletter (id, email) VALUES ((SELECT n FROM w), 'a@x');
-- sends
WITH w AS (SELECT 7 AS n) INSERT INTO newsletter (id, email) VALUES ((SELECT n FROM w), ‹email a@x›);

-- case: INSERT into part of an array
INSERT INTO mail (id, tags[1], sender) VALUES (1, 'x', 'a@x');
-- sends
INSERT INTO mail (id, tags[1], sender) VALUES (1, 'x', ‹email a@x›);

-- case: INSERT with a column that is not there
INSERT INTO customers (mail) VALUES ('a@x');
-- refused: undefined-column

-- case: INSERT of more values than columns, no list
INSERT INTO newsletter VALUES (1, 'a@x', NULL, 4);
-- refused: unsupported-statement

-- case: INSERT of a query whose columns are not known
INSERT INTO newsletter SELECT * FROM not_in_the_catalog;
-- refused: unsupported-statement

-- case: ON CONFLICT with an expression and conditions
INSERT INTO customers (id, email) VALUES (1, 'a@x') ON CONFLICT (id) WHERE note = 'x' DO UPDATE SET email = excluded.email, note = 'y' WHERE customers.note <> excluded.note;
-- sends
INSERT INTO customers (id, email) VALUES (1, ‹email a@x›) ON CONFLICT (id) WHERE note = 'x' DO UPDATE SET email = excluded.email, note = 'y' WHERE customers.note <> excluded.note;

-- case: an optional filter: the value goes nowhere in clear
SELECT id FROM customers WHERE ($1::text IS NULL OR email = $1) AND ($2::date IS NULL OR id = $3);
-- sends
SELECT id FROM customers WHERE ($1 IS NULL OR email = $1) AND ($2::date IS NULL OR id = $3);
-- params: 1=email search
