-- schema: shop
-- equal

SELECT 1;
SELECT 'ann@x.org', E'a\tb', U&'\0061', $$x$$, B'101', X'1F', 1.50, 1e3, -7, TRUE, NULL;
SELECT;
SELECT 1 AS "email", 2 AS email;
SELECT * FROM products ORDER BY id;
SELECT * FROM cheap;
SELECT name, price FROM products WHERE name LIKE 'a%' OR name ~ 'e.r';
SELECT upper(name), price * 2, tags[1], info -> 'a' FROM products ORDER BY price NULLS FIRST;
SELECT max(name), min(price), array_agg(id ORDER BY id DESC), string_agg(name, ',' ORDER BY name) FROM products;
SELECT info ->> 'a', info @> '{"a": 1}', info #> '{a,0}' FROM products ORDER BY id;
SELECT (p).name, row_to_json(p) FROM products p ORDER BY id;
SELECT code, code || '|', length(code) FROM products ORDER BY id;
SELECT * FROM tenant2.customers WHERE email LIKE 'a%' ORDER BY email;
SELECT upper(email), email || '', full_name FROM tenant2.customers ORDER BY full_name;
SELECT id, sum(total) OVER (ORDER BY id) FROM orders ORDER BY id;
SELECT customer, count(*) FROM orders GROUP BY customer ORDER BY 1 DESC;
SELECT o.id, what FROM orders o WHERE 'a' = ANY (what) OR what = '{}';
SELECT (SELECT max(total) FROM orders), twice(4), generate_series(1, 2);
SELECT now() IS NOT NULL, current_user, current_database() <> '', version() <> '';
SELECT extract(year FROM date '2020-02-03'), age(timestamp '2020-01-01', timestamp '2019-01-01'), interval '1 day 2 hours';
SELECT '{1,2}'::int[], '(1,2)'::point, box '(0,0),(1,1)', '<a/>'::xml IS NOT NULL, '1.2.3.4'::inet, '[1,3)'::int4range;
SELECT 1/0;
SELECT nosuch FROM products;
SELECT products.nosuch, 1 FROM products WHERE name = 'x';
SELECT * FROM nosuch;
SELECT nosuch.f(1);
SELECT foo(1);
SELECT 'x'::int;
SELECT 'x' + 1;
SELEC 1;
SELECT 'unterminated;
SELECT 1 +;
SELECT ☃;
SELECT 1 FROM products WHERE;
INSERT INTO products (id, name) VALUES (10, 'ten') RETURNING *;
INSERT INTO products VALUES (1, 'dup');
INSERT INTO products (id, name) VALUES (11, 'apple');
INSERT INTO products (id) VALUES (NULL);
INSERT INTO products (id, code) VALUES (12, 'too long code');
INSERT INTO products (id, name) SELECT id + 100, upper(name) FROM products RETURNING id, name;
UPDATE products SET name = name || '!', price = price + 1 WHERE id = 1 RETURNING *;
UPDATE products SET tags[1] = 'blue', info = jsonb_set(coalesce(info, '{}'), '{b}', '"x"') WHERE id = 1;
DELETE FROM products WHERE id = 2 RETURNING *;
DELETE FROM products USING orders WHERE products.id = orders.id AND products.name = 'stone';
MERGE INTO products p USING (VALUES (1, 'm')) v (i, n) ON p.id = v.i WHEN MATCHED THEN UPDATE SET name = v.n WHEN NOT MATCHED THEN INSERT (id, name) VALUES (v.i, v.n);
WITH x AS (INSERT INTO products VALUES (20, 'cte') RETURNING name) SELECT * FROM x;
SELECT * FROM products ORDER BY name COLLATE "C" DESC LIMIT 1;
SELECT DISTINCT ON (at) at, name FROM products ORDER BY at, name;
SELECT name FROM products UNION SELECT topic FROM (VALUES ('x')) v (topic) ORDER BY 1;
CREATE TABLE scratch (id int, email text);
CREATE TABLE tenant2.later (id int, email text);
DROP TABLE IF EXISTS nothing_there;
CREATE INDEX ON products (lower(name));
CREATE VIEW names AS SELECT name FROM products;
COMMENT ON TABLE products IS 'things';
CREATE TABLE products (id int);
ALTER TABLE products ADD COLUMN extra text DEFAULT 'e';
ALTER TABLE nosuch ADD COLUMN extra text;
DROP TABLE nosuch;
SET work_mem = '8MB';
SHOW work_mem;
SHOW nosuch;
SET nosuch = 1;
SELECT set_config('work_mem', '9MB', true);
RESET work_mem;
SELECT pg_catalog.format('%s-%s', 'a', 1);
LISTEN channel;
NOTIFY channel, 'hello';
VACUUM products;
ANALYZE products;
LOCK TABLE products IN SHARE MODE;
EXPLAIN (COSTS OFF) SELECT * FROM products WHERE id = 1;
EXECUTE nosuch;
DEALLOCATE nosuch;
CLOSE nosuch;
COMMIT AND CHAIN;
SAVEPOINT outside;
-- with: ["apple"]
SELECT id, name FROM products WHERE name = $1;
-- with: ["ap%", 1]
SELECT id FROM products WHERE name LIKE $1 AND id = $2;
-- with: [1, 2]
SELECT $1::int + $2::int, $1;
-- with: ["x"]
SELECT $1::int;
-- with: [["fruit", "red"]]
SELECT id FROM products WHERE tags = $1;
-- with: ["{\"k\": 1}", 1]
UPDATE products SET info = $1 WHERE id = $2 RETURNING info;
-- with: ["a"]
SELECT $1;
-- with: ["a"]
SELECT $2;
-- with: ["a", "b"]
SELECT $1::text;
-- with: ["ann@x.org"]
SELECT id, email FROM tenant2.customers WHERE email = $1;
-- with: ["ann@x.org", "z"]
INSERT INTO tenant2.customers (id, email, note) VALUES (50, $1, $2 || $1) RETURNING *;
