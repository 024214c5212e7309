-- policy: shop
-- Statements that are no query.

-- case: COPY (peer 16)
COPY customers (id, email) FROM STDIN;
-- sends: same
-- effects: copy-in

-- case: COPY of a query (peer 16)
COPY (SELECT email FROM customers) TO STDOUT;
-- sends: same
-- out: 1=email

-- case: COPY of a query with a search
COPY (SELECT id, email FROM customers WHERE email = 'a@x') TO STDOUT (FORMAT csv, NULL 'a@x');
-- sends
COPY (SELECT id, email FROM customers WHERE email = ‹email a@x›) TO STDOUT (FORMAT csv, NULL 'a@x');
-- out: 2=email

-- case: COPY with a file of the server (peer 16)
COPY customers TO '/tmp/x';
-- refused: copy-protected

-- case: COPY with a program (peer 16)
COPY customers (email) FROM PROGRAM 'cat';
-- refused: copy-protected

-- case: COPY WHERE
COPY customers (id, email) FROM STDIN WHERE email <> 'a@x' AND id > 3;
-- sends
COPY customers (id, email) FROM STDIN WHERE email <> ‹email a@x› AND id > 3;
-- effects: copy-in

-- case: EXPLAIN ANALYZE runs it (peer 110)
EXPLAIN ANALYZE INSERT INTO customers (email) VALUES ('a@x');
-- sends
EXPLAIN ANALYZE INSERT INTO customers (email) VALUES (‹email a@x›);
-- in: email write

-- case: EXPLAIN shows the token that stands for the value
EXPLAIN SELECT email FROM customers WHERE email = 'a@x' AND note = 'a@x';
-- sends
EXPLAIN SELECT email FROM customers WHERE email = ‹email a@x› AND note = 'a@x';
-- in: email search

-- case: EXPLAIN with options that are strings, and a parameter
EXPLAIN (FORMAT 'json', ANALYZE 'off', COSTS) (SELECT id FROM customers WHERE email = $1);
-- sends: same
-- params: 1=email search

-- case: EXPLAIN in the old syntax, of a query in brackets
EXPLAIN ANALYZE VERBOSE (SELECT id FROM customers WHERE email = 'a@x' LIMIT 5);
-- sends
EXPLAIN ANALYZE VERBOSE (SELECT id FROM customers WHERE email = ‹email a@x› LIMIT 5);

-- case: EXPLAIN of what can't be answered
EXPLAIN SELECT id FROM customers WHERE email LIKE 'a%';
-- refused: search-not-exact public.customers.email

-- case: EXPLAIN of a new table of protected values
EXPLAIN ANALYZE CREATE TABLE t AS SELECT email FROM customers;
-- refused: unsupported-statement

-- case: EXPLAIN of a new table of other values
EXPLAIN ANALYZE SELECT id INTO made FROM customers;
-- sends: same
-- effects: ddl

-- case: EXPLAIN of a prepared statement
EXPLAIN EXECUTE p('a@x');
-- sends: same
-- effects: execute p

-- case: PREPARE (peer 30)
PREPARE p (int) AS SELECT email FROM customers WHERE id = $1;
-- sends: same
-- effects: prepare p

-- case: PREPARE with a value: EXECUTE brings it
PREPARE p (text, varchar(3)) AS SELECT id FROM customers WHERE email = $1 OR note = $2;
-- sends: same
-- effects: prepare p

-- case: PREPARE that stores a literal
PREPARE p AS INSERT INTO customers (id, email, note) VALUES ($1, 'a@x', 'a@x');
-- sends
PREPARE p AS INSERT INTO customers (id, email, note) VALUES ($1, ‹email a@x›, 'a@x');
-- in: email write
-- effects: prepare p

-- case: PREPARE with the type that clients see
PREPARE p ( pg_catalog.date, date[] ) AS SELECT id FROM customers WHERE born = $1 OR born = ANY($2);
-- sends
PREPARE p ( text, text[] ) AS SELECT id FROM customers WHERE born = $1 OR born = ANY($2);
-- effects: prepare p

-- case: PREPARE with another type
PREPARE p (int) AS SELECT id FROM customers WHERE email = $1;
-- refused: unsupported-expression public.customers.email

-- case: PREPARE with one parameter for two things
PREPARE p (text) AS SELECT id FROM customers WHERE email = $1 OR note = $1;
-- refused: unsupported-statement

-- case: PREPARE that looks for a literal
PREPARE p AS SELECT id FROM customers WHERE email = 'a@x';
-- refused: unsupported-expression public.customers.email

-- case: PREPARE that looks for a literal that it stores
PREPARE p AS INSERT INTO newsletter SELECT 1, e FROM (VALUES ('a@x')) n(e) WHERE NOT EXISTS (SELECT FROM newsletter x WHERE x.email = n.e);
-- refused: unsupported-expression public.newsletter.email

-- case: PREPARE that returns what it looks for
PREPARE p AS WITH v AS (VALUES ($1::text)) SELECT column1 FROM v WHERE column1 = (SELECT email FROM customers LIMIT 1);
-- refused: unsupported-expression public.customers.email

-- case: PREPARE that returns what it looks for, of a subquery
PREPARE p AS SELECT t.x, c.id FROM (SELECT $1::text AS x) t JOIN customers c ON c.email = t.x;
-- refused: unsupported-expression public.customers.email

-- case: PREPARE with a parameter in the result, beside a protected column
PREPARE p AS SELECT $1::text, email FROM customers;
-- sends: same
-- effects: prepare p

-- case: PREPARE beside other statements
PREPARE p AS SELECT email FROM customers; EXECUTE p;
-- refused: unsupported-statement

-- case: PREPARE of what can't be answered
PREPARE p AS SELECT email FROM customers WHERE email LIKE $1;
-- refused: search-not-exact public.customers.email

-- case: PREPARE of something else
PREPARE p (int) AS SELECT * FROM orders WHERE id = $1;
-- sends: same
-- effects: prepare p

-- case: cursor (peer 29)
DECLARE k CURSOR WITH HOLD FOR SELECT * FROM customers;
-- sends: same
-- effects: declare k

-- case: cursor over a search
DECLARE k CURSOR FOR SELECT id FROM customers WHERE email = 'a@x';
-- sends
DECLARE k CURSOR FOR SELECT id FROM customers WHERE email = ‹email a@x›;
-- effects: declare k

-- case: BINARY cursor
DECLARE k BINARY CURSOR FOR SELECT email FROM customers;
-- refused: unsupported-expression public.customers.email

-- case: FETCH
FETCH 2 FROM k;
-- sends: same
-- effects: fetch k

-- case: DO that names it (peer 28)
DO $$ BEGIN UPDATE customers SET note = 'x'; END $$;
-- refused: unsupported-statement

-- case: DO that builds a statement (peer 28)
DO $$ BEGIN EXECUTE 'update cust' || 'omers set email = ''x'''; END $$;
-- refused: unsupported-statement

-- case: DO that runs a constant
DO $$ BEGIN EXECUTE 'select 1'; END $$;
-- forwards

-- case: DO that runs a constant that names it
DO $$ BEGIN EXECUTE 'update customers set note = 1'; END $$;
-- refused: unsupported-statement

-- case: DO in another language
DO LANGUAGE plpython3u 'pass';
-- refused: unsupported-statement

-- case: DO that does neither
DO $$ BEGIN PERFORM 1; END $$;
-- forwards

-- case: function that names it
CREATE FUNCTION g() RETURNS text LANGUAGE sql AS 'SELECT email FROM customers';
-- refused: unsupported-statement

-- case: trigger
CREATE TRIGGER t BEFORE INSERT ON customers EXECUTE FUNCTION g();
-- refused: unsupported-statement

-- case: view (peer 39)
CREATE VIEW mails AS SELECT email FROM customers;
-- sends: same
-- effects: ddl
-- barrier

-- case: view that is read in the same text (peer 39)
CREATE VIEW mails AS SELECT email FROM customers; SELECT * FROM mails;
-- refused: changed-in-transaction

-- case: view with a value in it
CREATE VIEW mails AS SELECT id FROM customers WHERE email = 'a@x';
-- refused: unsupported-statement public.customers.email

-- case: a table made of what a prepared statement gives (peer 30)
CREATE TABLE plain AS EXECUTE p;
-- sends: same
-- effects: execute p, ddl-elsewhere

-- case: DDL that names nothing protected
CREATE TABLE plain(a int); DROP TABLE plain; SELECT 1 AS b INTO plain; CREATE VIEW v AS SELECT a FROM plain;
-- sends: same
-- effects: ddl-elsewhere, ddl-elsewhere, ddl-elsewhere, ddl-elsewhere

-- case: not understood, with a word that runs prepared statements
CREATE TABLE plain(a int) PARTITION BY MAGIC (a); EXECUTE p;
-- refused: syntax

-- case: not understood, naming it
CREATE TABLE customers(a int) PARTITION BY MAGIC (a);
-- refused: syntax

-- case: DDL that makes ways of its own
CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'begin execute t; return 1; end'; CREATE EXTENSION x; ALTER ROLE bob SET x = 1;
-- sends: same
-- effects: ddl, function f, ddl, ddl

-- case: functions, triggers and names that reach nothing
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'begin return new; end'; CREATE TRIGGER t BEFORE INSERT ON plain EXECUTE FUNCTION f(); ALTER TABLE plain RENAME TO other; CREATE ROLE bob;
-- sends: same
-- effects: ddl-elsewhere, ddl-elsewhere, ddl-elsewhere, ddl-elsewhere

-- case: a function in a language that is not read
CREATE FUNCTION f() RETURNS int LANGUAGE plpython3u AS 'return 1';
-- sends: same
-- effects: ddl

-- case: CREATE TABLE AS
CREATE TABLE mails AS SELECT email FROM customers;
-- refused: unprotected-target

-- case: CREATE TABLE AS with a search
CREATE TABLE ids AS SELECT id FROM customers WHERE email = 'a@x';
-- sends
CREATE TABLE ids AS SELECT id FROM customers WHERE email = ‹email a@x›;
-- effects: ddl

-- case: ALTER TABLE with a plain column
ALTER TABLE customers ADD COLUMN extra int DEFAULT 5;
-- sends: same
-- effects: ddl
-- barrier

-- case: columns that a migration adds and fills
ALTER TABLE customers ADD COLUMN extra int; UPDATE customers SET extra = 1 WHERE email = 'a@x'; SELECT * FROM customers;
-- sends
ALTER TABLE customers ADD COLUMN extra int; UPDATE customers SET extra = 1 WHERE email = ‹email a@x›; SELECT * FROM customers;
-- in: email search
-- out: 2=email, 3=person, 4=phone, 5=street, 6=birthday
-- effects: ddl

-- case: a changed table is closed for the rest of the text
ALTER TABLE customers DROP COLUMN note; SELECT * FROM customers;
-- refused: changed-in-transaction

-- case: DEFAULT on a protected column
ALTER TABLE customers ALTER COLUMN email SET DEFAULT 'nobody';
-- refused: unsupported-statement public.customers.email

-- case: USING on a protected column
ALTER TABLE customers ALTER COLUMN email TYPE varchar(80) USING lower(email);
-- refused: unsupported-statement public.customers.email

-- case: a type too short for a token (peer 81)
ALTER TABLE customers ALTER COLUMN email TYPE varchar(20);
-- refused: unsupported-type public.customers.email

-- case: CHECK with a pattern (peer 81)
ALTER TABLE customers ADD CONSTRAINT k CHECK (email LIKE '%@%');
-- refused: search-not-exact

-- case: UNIQUE
ALTER TABLE customers ADD CONSTRAINT u UNIQUE (email);
-- sends: same
-- effects: ddl

-- case: renamed column (peer 76)
ALTER TABLE customers RENAME COLUMN email TO mail; SELECT mail FROM customers;
-- refused: changed-in-transaction

-- case: renamed table (peer 76)
ALTER TABLE customers RENAME TO clients;
-- refused: unsupported-statement

-- case: another table takes a protected name
ALTER TABLE orders RENAME TO newsletter; SELECT * FROM newsletter;
-- refused: changed-in-transaction

-- case: renamed schema
ALTER SCHEMA public RENAME TO old;
-- refused: unsupported-statement

-- case: index (peer 81)
CREATE INDEX ON customers (email);
-- sends: same

-- case: index on an expression (peer 81)
CREATE INDEX ON customers (lower(email));
-- refused: unsupported-expression

-- case: index on a column that the same migration adds
ALTER TABLE customers ADD COLUMN nick varchar(50); CREATE INDEX IF NOT EXISTS nicks ON customers (nick, email varchar_pattern_ops DESC) INCLUDE (id);
-- sends: same
-- effects: ddl

-- case: unique index on a table that the same migration alters
ALTER TABLE newsletter ALTER COLUMN email TYPE varchar(200); CREATE UNIQUE INDEX ON newsletter (email);
-- sends: same
-- effects: ddl

-- case: unique index on a table that the same migration alters, some of whose tokens are random
ALTER TABLE customers RENAME COLUMN street TO road; CREATE UNIQUE INDEX ON customers (road);
-- refused: changed-in-transaction

-- case: index with an expression on a table that the same migration alters
ALTER TABLE customers ALTER COLUMN note TYPE varchar(9); CREATE INDEX ON customers (lower(note));
-- refused: changed-in-transaction

-- case: index with a value in it
CREATE INDEX ON customers (id) WHERE email = 'a@x';
-- refused: unsupported-statement

-- case: partition of it
CREATE TABLE events_2027 PARTITION OF events FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');
-- sends: same
-- effects: ddl

-- case: temporary table that shadows it (peer 78)
CREATE TEMP TABLE customers (id int, email text); SELECT * FROM customers;
-- refused: ambiguous-relation

-- case: statements that move no values
TRUNCATE customers; LOCK TABLE customers; COMMENT ON COLUMN customers.email IS 'x'; GRANT SELECT ON customers TO bob;
-- forwards

-- case: DROP
DROP TABLE customers;
-- sends: same
-- effects: ddl, dropped customers

-- case: rights on schemas and roles decide which schemas of search_path count
GRANT USAGE ON SCHEMA x TO bob; REVOKE ALL ON SCHEMA x FROM bob; GRANT a TO b; REASSIGN OWNED BY a TO b;
-- sends: same
-- effects: moved, ddl-elsewhere, moved, ddl-elsewhere, moved, ddl-elsewhere, moved, ddl-elsewhere

-- case: transaction control
BEGIN; SAVEPOINT a; ROLLBACK TO a; COMMIT;
-- sends: same
-- effects: begin, savepoint a, rollback-to a, commit
-- barrier

-- case: settings that are followed
SET search_path = a, "B"; SET LOCAL pgveil.purpose = 'x'; RESET ALL; DISCARD ALL; DEALLOCATE p;
-- sends: same
-- effects: set search_path, set pgveil.purpose, reset-all, discard-all, deallocate p
-- pinned: 0
-- barrier

-- case: settings that are not
SET application_name = 'customers'; SET work_mem = '1MB';
-- forwards

-- case: set_config (peer 77)
SELECT set_config('search_path', 'x', false);
-- sends: same
-- effects: set search_path
-- pinned: 0, 1
-- barrier

-- case: set_config that is not certain (peer 77)
SELECT set_config('search_path', $1, false);
-- sends: same
-- effects: unknown-setting

-- case: a statement that is refused refuses the whole text (peer 10)
SELECT 1; SELECT upper(email) FROM customers;
-- refused: unsupported-expression

-- case: a text with a protected statement in the middle (peer 10)
SELECT 1; INSERT INTO customers (email) VALUES ('a@x'); SELECT email FROM customers;
-- sends
SELECT 1; INSERT INTO customers (email) VALUES (‹email a@x›); SELECT email FROM customers;
-- out: 1=email

-- case: not understood and names it (peer 8)
SELECT email FROM customers WHERE AND;
-- refused: syntax
