-- schema: shop
-- run: script

CREATE TABLE scratch (id int PRIMARY KEY, email text, note text);
INSERT INTO scratch VALUES (1, 'ann@x.org', 'x') RETURNING *;
SELECT upper(email) FROM scratch WHERE email LIKE 'ann%';
ALTER TABLE scratch ADD COLUMN extra int DEFAULT 3;
SELECT * FROM scratch;
DROP TABLE scratch;
SELECT * FROM scratch;
CREATE TABLE later (id int PRIMARY KEY, email text, name varchar(50), note text);
INSERT INTO later VALUES (1, 'l1@x.org', 'L One', 'plain');
INSERT INTO public.later (id, email) VALUES (2, 'l2@x.org') RETURNING *;
SELECT * FROM later ORDER BY id;
SELECT id FROM later WHERE email = 'l1@x.org';
SELECT l.id, c.email FROM later l LEFT JOIN customers c ON c.email = l.email ORDER BY 1;
BEGIN;
ALTER TABLE later ADD COLUMN more text DEFAULT 'm';
COMMIT;
SELECT * FROM later ORDER BY id;
INSERT INTO later VALUES (3, 'l3@x.org', 'L Three', 'p', 'q') RETURNING *;
ALTER TABLE later DROP COLUMN note;
SELECT * FROM later ORDER BY id;
INSERT INTO later VALUES (4, 'l4@x.org', 'L Four', 'q') RETURNING *;
CREATE UNIQUE INDEX later_email ON later (email);
INSERT INTO later (id, email) VALUES (5, 'l4@x.org');
ALTER TABLE customers ADD COLUMN color text DEFAULT 'red';
SELECT * FROM customers ORDER BY id;
INSERT INTO customers (id, email, color) VALUES (40, 'ddl40@x.org', 'blue') RETURNING *;
ALTER TABLE customers DROP COLUMN note;
SELECT * FROM customers WHERE email = 'ddl40@x.org';
CREATE TEMP TABLE mine (id int, email text);
INSERT INTO mine VALUES (1, 'm@x.org');
SELECT * FROM mine;
-- refused
CREATE TABLE copied AS SELECT email FROM customers;
-- refused
CREATE VIEW mails AS SELECT email FROM customers;
CREATE TABLE ids AS SELECT id FROM customers;
SELECT id FROM ids ORDER BY id;
BEGIN;
CREATE TABLE inner_one (id int, email text);
INSERT INTO inner_one VALUES (1, 'i@x.org');
SELECT * FROM inner_one;
ROLLBACK;
SELECT * FROM inner_one;
DROP TABLE later;
-- refused
SELECT * FROM later;
ALTER TABLE customers ALTER COLUMN full_name TYPE varchar(150) USING full_name::varchar(150);
-- refused
ALTER TABLE customers ALTER COLUMN full_name TYPE varchar(40) USING full_name::varchar(40);

-- What a migration does in one transaction: columns that it adds, fills and indexes.
BEGIN;
ALTER TABLE newsletter ADD COLUMN seen int DEFAULT 2, ADD COLUMN IF NOT EXISTS topic text;
UPDATE newsletter SET seen = 5, email = 'mig@x.org' WHERE email = 'zoe@z.io' RETURNING *;
-- with: ["cy@y.net"]
SELECT * FROM newsletter WHERE email = $1;
INSERT INTO newsletter VALUES (50, 'mig@x.org', 'news', 7) RETURNING *;
ALTER TABLE newsletter ADD COLUMN nick text NOT NULL DEFAULT 'none';
CREATE INDEX ON newsletter (email, nick);
CREATE UNIQUE INDEX ON newsletter (id, email);
SELECT * FROM newsletter ORDER BY id;
SAVEPOINT s;
ALTER TABLE newsletter ADD COLUMN later_one int;
SELECT later_one, email FROM newsletter ORDER BY id;
ROLLBACK TO s;
-- refused
SELECT * FROM newsletter ORDER BY id;
ROLLBACK;
SELECT * FROM newsletter ORDER BY id;
BEGIN;
ALTER TABLE newsletter ADD COLUMN seen int;
COMMIT;
SELECT * FROM newsletter ORDER BY id;
BEGIN;
CREATE TABLE later (id int PRIMARY KEY, email text, name varchar(50));
ALTER TABLE later ADD COLUMN note text;
INSERT INTO later VALUES (1, 'mig@x.org', 'Mig', 'plain') RETURNING *;
COMMIT;
SELECT * FROM later WHERE email = 'mig@x.org';
