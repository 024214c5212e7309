-- policy: shop
-- Which relation and which column a name means.

-- case: an unprotected table of the same name in another schema (peer 20)
SELECT email FROM sales.customers WHERE email = 'a@x';
-- forwards

-- case: search_path decides (peer 20)
-- search_path: sales, public
SELECT email FROM customers WHERE email = 'a@x';
-- forwards

-- case: search_path decides, other way round (peer 20)
-- search_path: public, sales
SELECT email FROM customers WHERE email = 'a@x';
-- sends
SELECT email FROM customers WHERE email = ‹email a@x›;
-- out: 1=email

-- case: unknown search_path, several tables
-- search_path: unknown
SELECT email FROM customers;
-- refused: ambiguous-relation

-- case: unknown search_path, one table
-- search_path: unknown
SELECT email FROM newsletter WHERE email = 'a@x';
-- sends
SELECT email FROM newsletter WHERE email = ‹email a@x›;
-- out: 1=email

-- case: unknown search_path, schema written
-- search_path: unknown
SELECT email FROM public.customers;
-- sends: same
-- out: 1=email

-- case: a schema before pg_catalog
-- search_path: public, pg_catalog
SELECT email FROM customers;
-- refused: unsupported-statement

-- case: SET search_path earlier in the text (peer 20)
SET search_path = sales; SELECT email FROM customers WHERE email = 'a@x';
-- sends: same
-- effects: set search_path
-- barrier

-- case: SET search_path to an unknown one earlier in the text
RESET search_path; SELECT email FROM customers;
-- refused: ambiguous-relation

-- case: ONLY and an alias (peer 20)
SELECT x.email FROM ONLY customers AS x WHERE x.email = 'a@x';
-- sends
SELECT x.email FROM ONLY customers AS x WHERE x.email = ‹email a@x›;
-- out: 1=email

-- case: an alias that is the name of a protected table
SELECT customers.note FROM orders customers WHERE customers.note = 'x';
-- forwards

-- case: a CTE that hides the table
WITH customers AS (SELECT 1 AS email) SELECT email FROM customers WHERE email = 2;
-- forwards

-- case: a CTE that hides the table, and reads it
WITH customers AS (SELECT email AS e FROM customers) SELECT e FROM customers WHERE e = 'a@x';
-- sends
WITH customers AS (SELECT email AS e FROM customers) SELECT e FROM customers WHERE e = ‹email a@x›;
-- out: 1=email

-- case: a schema-qualified name is no CTE
WITH customers AS (SELECT 1 AS email) SELECT email FROM public.customers;
-- sends: same
-- out: 1=email

-- case: quoted names, upper case, escapes (peer 80)
SELECT "email", U&"\0066ull_name" FROM "public"."customers" WHERE EMAIL = 'a@x';
-- sends
SELECT "email", U&"\0066ull_name" FROM "public"."customers" WHERE EMAIL = ‹email a@x›;
-- out: 1=email, 2=person

-- case: mixed case and blanks in names (peer 80)
SELECT "E-Mail" FROM "Odd"."Customer Data" WHERE "E-Mail" = 'a@x';
-- sends
SELECT "E-Mail" FROM "Odd"."Customer Data" WHERE "E-Mail" = ‹email a@x›;
-- out: 1=email

-- case: another table by case
SELECT email FROM "Customers";
-- forwards

-- case: columns renamed by an alias
SELECT b FROM newsletter AS n (a, b) WHERE b = 'a@x';
-- sends
SELECT b FROM newsletter AS n (a, b) WHERE b = ‹email a@x›;
-- out: 1=email

-- case: a column that the catalog does not have
SELECT mail FROM customers;
-- refused: undefined-column

-- case: a protected column from the query around
SELECT id FROM orders o WHERE EXISTS (SELECT 1 FROM customers c WHERE c.id = o.customer AND email = 'a@x');
-- sends
SELECT id FROM orders o WHERE EXISTS (SELECT 1 FROM customers c WHERE c.id = o.customer AND email = ‹email a@x›);

-- case: an inner column hides the outer one
SELECT (SELECT email FROM customers_archive a WHERE a.id = c.id) FROM customers c;
-- sends: same

-- case: a lateral column
SELECT y.e FROM customers c, LATERAL (SELECT c.email) y(e);
-- sends: same
-- out: 1=email

-- case: a subquery in FROM without LATERAL does not see the items before it
SELECT id FROM customers WHERE EXISTS (SELECT 1 FROM customers_archive p, (SELECT 1 WHERE email = 'a@x') s);
-- sends
SELECT id FROM customers WHERE EXISTS (SELECT 1 FROM customers_archive p, (SELECT 1 WHERE email = ‹email a@x›) s);

-- case: one with LATERAL does
SELECT id FROM customers WHERE EXISTS (SELECT 1 FROM customers_archive p, LATERAL (SELECT 1 WHERE email = 'a@x') s);
-- sends: same

-- case: a name that only an unknown table may have
SELECT zzz, email FROM customers, not_in_the_catalog;
-- sends: same
-- out: 2=email

-- case: star over a table that is not known
SELECT * FROM customers, not_in_the_catalog;
-- refused: unsupported-expression

-- case: natural join with a table that is not known
SELECT email FROM customers NATURAL JOIN not_in_the_catalog;
-- refused: unsupported-expression

-- case: star over a function of one column
SELECT * FROM newsletter, generate_series(1, 3);
-- sends: same
-- out: 2=email

-- case: a join with an alias hides its tables
SELECT j.email FROM (newsletter JOIN orders USING (id)) AS j WHERE j.email = 'a@x';
-- sends
SELECT j.email FROM (newsletter JOIN orders USING (id)) AS j WHERE j.email = ‹email a@x›;
-- out: 1=email

-- case: whole row by alias (peer 22)
SELECT c FROM customers c;
-- refused: unsupported-expression public.customers.email

-- case: whole row in a function (peer 22)
SELECT row_to_json(c) FROM customers c;
-- refused: unsupported-expression

-- case: field of a whole row
SELECT (c).email FROM customers c;
-- refused: unsupported-expression

-- case: system columns (peer 106)
SELECT *, ctid, xmin, tableoid FROM newsletter;
-- sends: same
-- out: 2=email

-- case: view (peer 39)
SELECT full_name FROM names;
-- sends: same
-- out: 1=person

-- case: view whose definition can't be answered
SELECT name FROM lower_names;
-- refused: depends-on-protected

-- case: materialized view
SELECT full_name FROM kept_names;
-- refused: depends-on-protected

-- case: INSERT through a view (peer 39)
INSERT INTO names VALUES ('Ann');
-- sends
INSERT INTO names (full_name) VALUES (‹person Ann›);

-- case: function that reads it (peer 28)
SELECT find_customer(1);
-- refused: depends-on-protected

-- case: function that reads nothing
SELECT tax(total) FROM orders;
-- forwards

-- case: partition by its own name
SELECT who FROM events_2026 WHERE who = 'Ann';
-- sends
SELECT who FROM events_2026 WHERE who = ‹person Ann›;
-- out: 1=person

-- case: only in a literal or a comment
SELECT 'customers', note /* email of customers */ FROM orders;
-- forwards

-- case: a query in a string
SELECT query_to_xml('select email from customers', true, true, '');
-- refused: unsupported-expression

-- case: one column name contains another's (peer 19)
SELECT full_name, name FROM customers, leads WHERE leads.name = full_name;
-- sends: same
-- out: 1=person, 2=person
