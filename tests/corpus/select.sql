-- policy: shop

-- case: equality and IN
SELECT id, email FROM customers WHERE email IN ('a@b.c', 'x') AND note = 'hi';
-- sends
SELECT id, email FROM customers WHERE email IN (‹email a@b.c›, ‹email x›) AND note = 'hi';
-- out: 2=email
-- in: email search, email search

-- case: star
SELECT * FROM customers;
-- sends: same
-- out: 2=email, 3=person, 4=phone, 5=street, 6=birthday

-- case: star shifted by a column before it (peer 23)
SELECT born, *, c.email FROM customers c;
-- sends: same
-- out: 1=birthday, 3=email, 4=person, 5=phone, 6=street, 7=birthday, 10=email

-- case: qualified star of a join (peer 23)
SELECT o.*, c.email FROM orders o JOIN customers c ON c.id = o.customer;
-- sends: same
-- out: 5=email

-- case: not equal, both spellings
SELECT id FROM customers WHERE email <> 'a@x' AND 'b@x' != email;
-- sends
SELECT id FROM customers WHERE email <> ‹email a@x› AND ‹email b@x› != email;

-- case: NOT IN with NULL (peer 34)
SELECT id FROM customers WHERE email NOT IN ('a@x', NULL, $1);
-- sends
SELECT id FROM customers WHERE email NOT IN (‹email a@x›, NULL, $1);
-- params: 1=email search

-- case: ANY of an array parameter (peer 34)
SELECT id FROM customers WHERE email = ANY($1);
-- sends: same
-- params: 1=email search[]

-- case: ANY of an array literal
SELECT id FROM customers WHERE email = ANY('{a@x,b@x}');
-- sends
SELECT id FROM customers WHERE email = ANY(‹email[] {a@x,b@x}›);

-- case: ANY of ARRAY
SELECT id FROM customers WHERE email = ANY(ARRAY['a@x', $1]);
-- sends
SELECT id FROM customers WHERE email = ANY(ARRAY[‹email a@x›, $1]);
-- params: 1=email search

-- case: IN a subquery of the same class
SELECT id FROM customers WHERE email IN (SELECT email FROM newsletter);
-- sends: same

-- case: IS DISTINCT FROM
SELECT id FROM customers WHERE email IS DISTINCT FROM 'a@x' OR full_name IS NOT DISTINCT FROM $1;
-- sends
SELECT id FROM customers WHERE email IS DISTINCT FROM ‹email a@x› OR full_name IS NOT DISTINCT FROM $1;
-- params: 1=person search

-- case: row equality
SELECT id FROM customers WHERE (email, note) = ('a@x', 'n');
-- sends
SELECT id FROM customers WHERE (email, note) = (‹email a@x›, 'n');

-- case: IN a list of rows
SELECT id FROM customers WHERE (id, email) IN ((1, 'a@x'), (2, 'b@x'));
-- sends
SELECT id FROM customers WHERE (id, email) IN ((1, ‹email a@x›), (2, ‹email b@x›));

-- case: joins on the same class
SELECT c.id, n.email FROM customers c JOIN newsletter n ON n.email = c.email;
-- sends: same
-- out: 2=email

-- case: USING merges columns
SELECT * FROM customers JOIN newsletter USING (email);
-- sends: same
-- out: 1=email, 3=person, 4=phone, 5=street, 6=birthday

-- case: NATURAL join merges id and email
SELECT * FROM newsletter NATURAL JOIN customers;
-- sends: same
-- out: 2=email, 4=person, 5=phone, 6=street, 7=birthday

-- case: join of two classes
SELECT 1 FROM customers c JOIN leads l ON l.name = c.email;
-- refused: class-mismatch

-- case: join with an unprotected column
SELECT 1 FROM customers c JOIN customers_archive a ON a.email = c.email;
-- refused: class-mismatch

-- case: GROUP BY, count, DISTINCT
SELECT email, count(*), count(DISTINCT full_name) FROM customers GROUP BY email HAVING count(*) > 1;
-- sends: same
-- out: 1=email

-- case: DISTINCT
SELECT DISTINCT email, city FROM customers;
-- sends: same
-- out: 1=email

-- case: subquery with renamed columns
SELECT t.e FROM (SELECT email, note FROM customers WHERE email = 'a@x') AS t (e, n) WHERE t.e <> $1;
-- sends
SELECT t.e FROM (SELECT email, note FROM customers WHERE email = ‹email a@x›) AS t (e, n) WHERE t.e <> $1;
-- params: 1=email search
-- out: 1=email

-- case: CTE
WITH c AS (SELECT email AS mail, id FROM customers WHERE phone = $1) SELECT mail FROM c WHERE mail = 'a@x';
-- sends
WITH c AS (SELECT email AS mail, id FROM customers WHERE phone = $1) SELECT mail FROM c WHERE mail = ‹email a@x›;
-- params: 1=phone search
-- out: 1=email

-- case: a CTE shadows the table
WITH customers AS (SELECT 1 AS id, 'x'::text AS email) SELECT email FROM customers;
-- forwards

-- case: LATERAL
SELECT o.id, x.email FROM orders o, LATERAL (SELECT email FROM customers c WHERE c.id = o.customer) x;
-- sends: same
-- out: 2=email

-- case: correlated EXISTS
SELECT o.id FROM orders o WHERE EXISTS (SELECT FROM customers c WHERE c.id = o.customer AND c.email = 'a@x');
-- sends
SELECT o.id FROM orders o WHERE EXISTS (SELECT FROM customers c WHERE c.id = o.customer AND c.email = ‹email a@x›);

-- case: UNION of the same class
SELECT email FROM customers UNION SELECT email FROM newsletter;
-- sends: same
-- out: 1=email

-- case: UNION of two classes
SELECT email FROM customers UNION ALL SELECT full_name FROM customers;
-- refused: class-mismatch

-- case: schema-qualified name and alias
SELECT x.email FROM public.customers AS x WHERE x.email = 'a@x' LIMIT 5;
-- sends
SELECT x.email FROM public.customers AS x WHERE x.email = ‹email a@x› LIMIT 5;
-- out: 1=email

-- case: the other schema's table is not protected
SELECT email FROM sales.customers WHERE email = 'a@x';
-- forwards

-- case: protected elsewhere too
SELECT email, note FROM sales.people WHERE email = 'a@x';
-- sends
SELECT email, note FROM sales.people WHERE email = ‹email a@x›;
-- out: 1=email

-- case: an unprotected table
SELECT id, note FROM orders WHERE note = 'customers' ORDER BY note;
-- forwards

-- case: ORDER BY an unprotected column
SELECT email FROM customers ORDER BY id DESC LIMIT 10;
-- sends: same
-- out: 1=email

-- case: ORDER BY a protected column
SELECT id FROM customers ORDER BY email;
-- refused: order-by-protected public.customers.email

-- case: ORDER BY an ordinal of a protected column (peer 32)
SELECT id, email FROM customers ORDER BY 2;
-- refused: order-by-protected public.customers.email

-- case: ORDER BY an alias of a protected column
SELECT id, email AS e FROM customers ORDER BY e;
-- refused: order-by-protected public.customers.email

-- case: ordinal of a plain column
SELECT id, email FROM customers ORDER BY 1;
-- sends: same
-- out: 2=email
-- pinned: 0

-- case: less than (peer 33)
SELECT id FROM customers WHERE born > '2000-01-01';
-- refused: search-not-exact public.customers.born

-- case: BETWEEN
SELECT id FROM customers WHERE born BETWEEN '2000-01-01' AND '2001-01-01';
-- refused: search-not-exact public.customers.born

-- case: LIKE (peer 35)
SELECT id FROM customers WHERE email LIKE 'a%';
-- refused: search-not-exact public.customers.email

-- case: lower
SELECT id FROM customers WHERE lower(email) = 'a@x';
-- refused: unsupported-expression public.customers.email

-- case: function in the output (peer 21)
SELECT upper(email) FROM customers;
-- refused: unsupported-expression public.customers.email

-- case: max
SELECT max(full_name) FROM customers;
-- refused: unsupported-expression public.customers.full_name

-- case: whole row (peer 22)
SELECT c FROM customers c;
-- refused: unsupported-expression

-- case: random tokens have no equality (peer 31)
SELECT id FROM customers WHERE street = 'Main St 1';
-- refused: random-token-equality public.customers.street

-- case: random tokens and DISTINCT
SELECT DISTINCT street FROM customers;
-- refused: random-token-equality public.customers.street

-- case: random tokens are shown and counted
SELECT street, (SELECT count(street) FROM customers WHERE street IS NOT NULL) FROM customers;
-- sends: same
-- out: 1=street

-- case: a view over a protected table
SELECT full_name FROM names WHERE full_name = 'Ann';
-- sends
SELECT full_name FROM names WHERE full_name = ‹person Ann›;
-- out: 1=person

-- case: a function that reads a protected table (peer 28)
SELECT find_customer(1);
-- refused: depends-on-protected

-- case: a partition of a protected table
SELECT who FROM events_2026;
-- sends: same
-- out: 1=person

-- case: FOR UPDATE
SELECT email FROM customers WHERE id = 1 FOR UPDATE;
-- sends: same
-- out: 1=email

-- case: a protected name in a string is no table
SELECT id FROM orders WHERE note = 'select * from customers';
-- forwards

-- case: scalar subquery of the same class
SELECT id FROM customers WHERE email = (SELECT email FROM newsletter WHERE id = 3);
-- sends: same

-- case: several statements (peer 10)
SELECT 1; INSERT INTO customers (email) VALUES ('a@x'); SELECT email FROM customers
-- sends
SELECT 1; INSERT INTO customers (email) VALUES (‹email a@x›); SELECT email FROM customers
-- out: 1=email

-- case: one bad statement refuses the text
SELECT id FROM orders; SELECT email FROM customers ORDER BY email
-- refused: order-by-protected public.customers.email

-- case: syntax error on a protected table
SELECT email FRM customers;
-- refused: syntax
