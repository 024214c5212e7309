-- schema: shop
-- run: script

PREPARE p (int) AS SELECT name FROM products WHERE id = $1;
EXECUTE p (1);
EXECUTE p (2);
DEALLOCATE p;
EXECUTE p (1);
-- refused
PREPARE q (text) AS SELECT id FROM customers WHERE email = $1;
-- refused
DECLARE k CURSOR WITH HOLD FOR SELECT email FROM customers;
BEGIN;
DECLARE k CURSOR FOR SELECT name FROM products ORDER BY id;
FETCH 2 FROM k;
MOVE 1 FROM k;
FETCH ALL FROM k;
CLOSE k;
COMMIT;
BEGIN;
PREPARE r AS SELECT 1;
ROLLBACK;
EXECUTE r;
DEALLOCATE ALL;
DISCARD PLANS;
-- with: ["ann@x.org"]
SELECT id FROM customers WHERE email = $1;
DISCARD ALL;
-- with: ["ann@x.org"]
SELECT id FROM customers WHERE email = $1;
-- with: ["ann@x.org"]
SELECT id FROM customers WHERE email = $1;
