-- schema: shop
-- run: script

CREATE VIEW people AS SELECT id, email, full_name AS name, note, n FROM customers;
SELECT * FROM people ORDER BY id;
SELECT name, id FROM people WHERE email = 'ann@x.org';
-- with: ["ann@x.org"]
SELECT * FROM people WHERE email = $1;
-- with: [["ann@x.org", "bob@x.org"]]
SELECT id FROM people WHERE email = ANY ($1) ORDER BY id;
SELECT p.id, c.email FROM people p JOIN customers c ON c.email = p.email ORDER BY 1;
SELECT count(*), count(DISTINCT name), count(email) FROM people;
SELECT name, count(*) FROM people GROUP BY name HAVING count(*) = 1 AND name IS NOT NULL ORDER BY 2, min(id) LIMIT 3;
INSERT INTO people (id, email, name) VALUES (900, 'v900@x.org', 'Vee Nine') RETURNING *;
INSERT INTO people VALUES (901, 'v901@x.org', 'Vee Ten', 'via view', 3) RETURNING id, name, email;
-- with: [902, "v902@x.org", "Vee Eleven"]
INSERT INTO people (id, email, name) VALUES ($1, $2, $3);
INSERT INTO people (id, email) VALUES (903, 'v901@x.org');
INSERT INTO people (id, email) VALUES (901, 'v904@x.org') ON CONFLICT (id) DO UPDATE SET email = excluded.email RETURNING email;
UPDATE people SET email = 'v905@x.org', name = NULL WHERE email = 'v904@x.org' RETURNING *;
UPDATE people p SET name = c.full_name FROM customers c WHERE c.email = 'v900@x.org' AND p.id = 901 RETURNING p.name;
DELETE FROM people WHERE name = 'Vee Eleven' RETURNING email;
SELECT id, email, full_name FROM customers WHERE id >= 900 ORDER BY id;

-- Views over views, with names of their own, over sides of a join, an aggregate, a set operation.
CREATE VIEW readers (who, mail, what) AS SELECT p.name, l.email, l.topic FROM newsletter l LEFT JOIN people p USING (email);
SELECT * FROM readers ORDER BY mail IS NULL, what, who IS NULL LIMIT 0;
SELECT what, mail, who FROM readers WHERE mail = 'zoe@z.io';
SELECT count(*) FROM readers WHERE who IS NULL;
CREATE VIEW topics AS SELECT topic, count(DISTINCT email) AS mails FROM newsletter GROUP BY topic;
SELECT * FROM topics ORDER BY topic;
CREATE VIEW everybody AS SELECT email FROM customers UNION SELECT email FROM newsletter;
SELECT count(*) FROM everybody;
SELECT * FROM everybody WHERE email = 'ann@x.org';
CREATE VIEW last AS WITH l AS (SELECT max(id) AS id FROM customers) SELECT c.* FROM customers c JOIN l USING (id);
SELECT id, email FROM last;
CREATE VIEW facts AS SELECT id, born, score, balance, seen, tag FROM measures WHERE n IS NOT NULL;
SELECT * FROM facts ORDER BY id;
SELECT id FROM facts WHERE born = '1990-01-02' ORDER BY id;
INSERT INTO facts VALUES (910, '2001-02-03', 12, 3.50, '2020-01-01 00:00+00', NULL) RETURNING *;
CREATE VIEW guarded AS SELECT id, email, n FROM customers WHERE n > 5 WITH CHECK OPTION;
INSERT INTO guarded VALUES (911, 'g911@x.org', 6) RETURNING *;
INSERT INTO guarded VALUES (912, 'g912@x.org', 1);
CREATE OR REPLACE VIEW people AS SELECT id, email, full_name AS name, note, n, phone FROM customers;
SELECT * FROM people WHERE email = 'ann@x.org';

-- What is in a definition and can't be answered closes the view, nothing else.
-- refused
CREATE VIEW low AS SELECT id, lower(email) AS mail FROM customers;
-- refused
SELECT * FROM low ORDER BY id;
-- refused
SELECT * FROM people ORDER BY name;
-- refused
SELECT * FROM people WHERE email LIKE 'a%';
SELECT count(*) FROM people;

-- Changed with its table in one transaction.
BEGIN;
ALTER TABLE customers ALTER COLUMN note SET DEFAULT 'later';
SELECT count(*) FROM people;
COMMIT;
BEGIN;
-- refused
SELECT id FROM people WHERE email = 'ann@x.org';
ROLLBACK;
DROP VIEW guarded;
SELECT * FROM guarded;
ALTER VIEW facts RENAME TO figures;
SELECT id, balance FROM figures WHERE balance = 3.5 ORDER BY id;
DROP VIEW people CASCADE;
SELECT * FROM people;
SELECT * FROM readers;
