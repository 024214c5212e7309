-- schema: shop
-- run: script

BEGIN;
INSERT INTO customers (id, email) VALUES (20, 't20@x.org');
SELECT id, email FROM customers WHERE email = 't20@x.org';
ROLLBACK;
SELECT id, email FROM customers WHERE email = 't20@x.org';
BEGIN ISOLATION LEVEL REPEATABLE READ;
SHOW transaction_isolation;
UPDATE customers SET email = 't1@x.org' WHERE id = 1 RETURNING email;
COMMIT;
SELECT email FROM customers WHERE id = 1;
START TRANSACTION READ ONLY;
INSERT INTO customers (id, email) VALUES (21, 't21@x.org');
SELECT email FROM customers;
INSERT INTO products (id) VALUES (77);
COMMIT;
BEGIN;
SAVEPOINT a;
INSERT INTO customers (id, email) VALUES (22, 't1@x.org');
SELECT 1;
SELECT email FROM customers WHERE email = 'x';
ROLLBACK TO a;
INSERT INTO customers (id, email) VALUES (22, 't22@x.org') RETURNING email;
SAVEPOINT b;
DELETE FROM customers WHERE email = 't22@x.org' RETURNING id;
ROLLBACK TO SAVEPOINT b;
SELECT id FROM customers WHERE email = 't22@x.org';
RELEASE a;
ROLLBACK TO a;
COMMIT;
SELECT id FROM customers WHERE email = 't22@x.org';
BEGIN;
INSERT INTO customers (id, email) VALUES (23, 't23@x.org');
SELECT 1/0;
COMMIT;
SELECT count(*) FROM customers;
BEGIN;
-- refused
SELECT upper(email) FROM customers;
SELECT 1;
COMMIT;
BEGIN;
INSERT INTO newsletter VALUES (30, 't30@x.org', 'x');
SAVEPOINT c;
-- refused
UPDATE newsletter SET email = lower(email);
ROLLBACK TO c;
UPDATE newsletter SET email = 't31@x.org' WHERE email = 't30@x.org' RETURNING *;
COMMIT;
SELECT * FROM newsletter ORDER BY id;
ROLLBACK;
COMMIT;
BEGIN;
BEGIN;
COMMIT;
SELECT 1; SELECT 2;
SELECT id FROM customers WHERE email = 't1@x.org'; SELECT email FROM newsletter WHERE id = 1; SELECT name FROM products WHERE id = 1;
INSERT INTO newsletter VALUES (40, 't40@x.org', 'm'); SELECT email FROM newsletter WHERE id = 40; SELECT 1/0;
SELECT id FROM newsletter WHERE email = 't40@x.org';
BEGIN; INSERT INTO newsletter VALUES (41, 't41@x.org', 'm'); COMMIT; SELECT email FROM newsletter WHERE id = 41;
INSERT INTO newsletter VALUES (42, 't42@x.org', 'm'); ROLLBACK; SELECT email FROM newsletter WHERE id = 42;
SELECT 'a;b'; SELECT email FROM customers WHERE email = 'semi;colon';
;
SELECT email FROM newsletter WHERE email = 't41@x.org';;
BEGIN;
-- with: ["t50@x.org"]
INSERT INTO newsletter VALUES (50, $1, 'p') RETURNING *;
-- with: ["t50@x.org"]
INSERT INTO newsletter VALUES (50, $1, 'p');
-- with: ["t50@x.org"]
SELECT id FROM newsletter WHERE email = $1;
ROLLBACK;
-- with: ["t50@x.org"]
SELECT id FROM newsletter WHERE email = $1;
BEGIN;
ROLLBACK PREPARED 'nothing there';
ABORT;
END;
