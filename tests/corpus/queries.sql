-- policy: shop
-- Derived tables, set operations, CTEs, and what equality on tokens does not keep.

-- case: UPSERT of a CTE, revealed by the outer query (peer 104)
WITH x AS (INSERT INTO newsletter (id, email) VALUES (1, 'a@x') RETURNING email) SELECT * FROM x;
-- sends
WITH x AS (INSERT INTO newsletter (id, email) VALUES (1, ‹email a@x›) RETURNING email) SELECT * FROM x;
-- out: 1=email

-- case: UPDATE in a CTE
WITH u AS (UPDATE customers SET email = $1 WHERE id = $2 RETURNING id, email AS new_mail) SELECT new_mail, id FROM u;
-- sends: same
-- out: 1=email
-- params: 1=email write

-- case: a CTE that nothing reads still writes
WITH x AS (DELETE FROM customers WHERE email = 'a@x') SELECT 1;
-- sends
WITH x AS (DELETE FROM customers WHERE email = ‹email a@x›) SELECT 1;

-- case: recursive, same class (peer 40)
WITH RECURSIVE r (e) AS (SELECT email FROM customers UNION SELECT n.email FROM newsletter n JOIN r ON n.email = r.e) SELECT e FROM r;
-- sends: same
-- out: 1=email

-- case: recursive, NULL first (peer 40)
WITH RECURSIVE r (a, e) AS (SELECT 1, NULL::text UNION ALL SELECT a + 1, email FROM customers, r) SELECT e FROM r;
-- refused: unsupported-expression

-- case: recursive, a plain column second (peer 40)
WITH RECURSIVE r (e) AS (SELECT email FROM customers UNION SELECT note FROM orders) SELECT e FROM r;
-- refused: class-mismatch

-- case: a recursive CTE that names a later one
WITH RECURSIVE a AS (SELECT e FROM b), b AS (SELECT email AS e FROM customers) SELECT e FROM a;
-- sends: same
-- out: 1=email

-- case: set operations of a class (peer 40)
SELECT email FROM customers UNION SELECT email FROM newsletter EXCEPT SELECT contact FROM leads;
-- sends: same
-- out: 1=email

-- case: UNION with a literal (peer 40)
SELECT email FROM customers UNION SELECT 'a@x';
-- refused: class-mismatch

-- case: UNION of two classes (peer 40)
SELECT email FROM customers UNION ALL SELECT full_name FROM customers;
-- refused: class-mismatch

-- case: UNION of random tokens (peer 31)
SELECT street FROM customers UNION SELECT street FROM customers;
-- refused: random-token-equality

-- case: UNION ALL of random tokens
SELECT street FROM customers UNION ALL SELECT street FROM customers;
-- sends: same
-- out: 1=street

-- case: DISTINCT and GROUP BY of random tokens (peer 31)
SELECT street, count(*) FROM customers GROUP BY street;
-- refused: random-token-equality public.customers.street

-- case: count of random tokens (peer 31)
SELECT count(street) FROM customers WHERE street IS NOT NULL;
-- sends: same

-- case: count(DISTINCT) of random tokens (peer 31)
SELECT count(DISTINCT street) FROM customers;
-- refused: random-token-equality

-- case: JOIN on random tokens
SELECT 1 FROM customers a JOIN customers b ON a.street = b.street;
-- refused: random-token-equality

-- case: derived table, predicate and projection (peer 37)
SELECT t.e FROM (SELECT email e FROM customers WHERE email = $1) t WHERE t.e IS NOT NULL AND t.e <> 'b@x';
-- sends
SELECT t.e FROM (SELECT email e FROM customers WHERE email = $1) t WHERE t.e IS NOT NULL AND t.e <> ‹email b@x›;
-- out: 1=email
-- params: 1=email search

-- case: star of star (peer 37)
SELECT * FROM (SELECT * FROM newsletter) t;
-- sends: same
-- out: 2=email

-- case: scalar subquery and EXISTS (peer 37)
SELECT (SELECT email FROM customers LIMIT 1), EXISTS (SELECT email FROM customers);
-- sends: same
-- out: 1=email

-- case: NOT IN of a subquery, <> ALL of an array (peer 34)
SELECT id FROM customers WHERE email NOT IN (SELECT email FROM newsletter) OR email <> ALL ($1);
-- sends: same
-- params: 1=email search[]

-- case: a row in a subquery
SELECT 1 FROM customers WHERE (id, 'a@x') IN (SELECT id, email FROM newsletter);
-- sends
SELECT 1 FROM customers WHERE (id, ‹email a@x›) IN (SELECT id, email FROM newsletter);

-- case: a value in a list with a column
SELECT 1 FROM customers WHERE 'a@x' IN (email, note);
-- refused: unsupported-expression

-- case: arm of OR (peer 38)
SELECT id FROM customers WHERE email IS NULL OR email = $1 OR email IS NOT DISTINCT FROM $2;
-- sends: same
-- params: 1=email search, 2=email search

-- case: functions of it (peer 21)
SELECT concat_ws('-', full_name, phone) FROM customers;
-- refused: unsupported-expression public.customers.full_name

-- case: CASE of it (peer 21)
SELECT CASE WHEN full_name IS NULL THEN phone ELSE full_name END FROM customers;
-- refused: class-mismatch

-- case: CASE on a test of it
SELECT CASE WHEN email = 'a@x' THEN 1 ELSE 0 END FROM customers;
-- sends
SELECT CASE WHEN email = ‹email a@x› THEN 1 ELSE 0 END FROM customers;

-- case: concatenation (peer 22)
SELECT email || '' FROM customers;
-- refused: unsupported-expression

-- case: oracle by an error (peer 25)
SELECT 1 / (ascii(substr(email, 1, 1)) - 97) FROM customers;
-- refused: unsupported-expression

-- case: grouping by a part (peer 27)
SELECT count(*), array_agg(id) FROM customers GROUP BY substr(email, 1, 1);
-- refused: unsupported-expression

-- case: patterns (peer 26, 35, 36)
SELECT id FROM customers WHERE email LIKE 'a%';
-- refused: search-not-exact public.customers.email

-- case: regular expression (peer 35)
SELECT id FROM customers WHERE email ~* 'a';
-- refused: search-not-exact

-- case: range (peer 33)
SELECT id FROM customers WHERE born > '2000-01-01';
-- refused: search-not-exact public.customers.born

-- case: case-insensitive (peer 41)
SELECT id FROM customers WHERE lower(email) = lower($1);
-- refused: unsupported-expression

-- case: citext (peer 41)
SELECT id FROM customers WHERE email = 'a@x'::citext;
-- refused: unsupported-expression

-- case: collation (peer 41)
SELECT id FROM customers WHERE email = 'a@x' COLLATE "C";
-- refused: class-mismatch

-- case: window order (peer 32)
SELECT rank() OVER w FROM customers WINDOW w AS (ORDER BY full_name);
-- refused: order-by-protected public.customers.full_name

-- case: order in an aggregate (peer 32)
SELECT array_agg(id ORDER BY email) FROM customers;
-- refused: order-by-protected

-- case: max (peer 32)
SELECT max(full_name) FROM customers;
-- refused: unsupported-expression

-- case: PARTITION BY
SELECT email, count(*) OVER (PARTITION BY email ORDER BY id) FROM customers;
-- sends: same
-- out: 1=email

-- case: a value stored elsewhere
INSERT INTO customers_archive (email) SELECT email FROM customers;
-- refused: unprotected-target public.customers.email

-- case: SELECT INTO
SELECT email INTO copy FROM customers;
-- refused: unprotected-target

-- case: one parameter, searched in two classes (peer 43)
SELECT 1 FROM customers WHERE email = $1 OR full_name = $1;
-- sends
SELECT 1 FROM customers WHERE email = $1 OR full_name = $2;
-- params: 1=email search, 2=$1 person search

-- case: one parameter, searched and plain (peer 43)
SELECT 1 FROM customers WHERE note = $1 AND email = $1 AND city = $1;
-- sends
SELECT 1 FROM customers WHERE note = $1 AND email = $2 AND city = $1;
-- params: 2=$1 email search

-- case: a cast of the column to text
SELECT email::text FROM customers WHERE email::text = $1::text;
-- sends
SELECT email::text FROM customers WHERE email::text = $1;
-- out: 1=email
-- params: 1=email search ::text

-- case: a cast of the column to something shorter
SELECT email::varchar(10) FROM customers;
-- refused: unsupported-expression

-- case: char and text compare otherwise (peer 83)
SELECT 1 FROM accounts WHERE code = 'a '::text;
-- refused: unsupported-expression public.accounts.code

-- case: char compares without blanks (peer 83)
SELECT 1 FROM accounts WHERE code = 'a ';
-- sends
SELECT 1 FROM accounts WHERE code = ‹holder a ›;

-- case: a uuid column against a char column of one class
SELECT 1 FROM accounts WHERE code = holder;
-- refused: class-mismatch

-- case: MERGE (peer 104)
MERGE INTO customers USING (VALUES (1, 'a@x')) s(i, e) ON id = i WHEN MATCHED THEN UPDATE SET email = e;
-- refused: unsupported-statement
