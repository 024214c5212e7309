-- schema: shop

-- SELECTs as ORMs and BI tools write them.
-- ORMs: SQLAlchemy, Django, Hibernate, Prisma, ActiveRecord, EF Core, TypeORM, Sequelize
SELECT customers.id AS customers_id, customers.email AS customers_email, customers.full_name AS customers_full_name FROM customers WHERE customers.email = 'ann@x.org' LIMIT 1;
SELECT "customers"."id", "customers"."email", "customers"."full_name" FROM "customers" WHERE "customers"."email" = 'ann@x.org' ORDER BY "customers"."id" ASC LIMIT 1;
SELECT "public"."customers"."id", "public"."customers"."email" FROM "public"."customers" WHERE ("public"."customers"."email" = 'ann@x.org' AND 1=1) LIMIT 1 OFFSET 0;
SELECT c1_0.id,c1_0.email,c1_0.full_name,o1_0.customer,o1_0.id,o1_0.total FROM customers c1_0 LEFT JOIN orders o1_0 ON c1_0.id=o1_0.customer WHERE c1_0.email='ann@x.org';
SELECT c."id", c."email" AS "Email", c."full_name" AS "FullName" FROM "customers" AS c WHERE c."email" = 'bob@x.org' FETCH FIRST 1 ROWS ONLY;
SELECT "Customer"."id" AS "Customer_id", "Customer"."email" AS "Customer_email" FROM "customers" "Customer" WHERE (("Customer"."email" = 'ann@x.org')) LIMIT 1;
SELECT count(*) AS "__count" FROM "customers" WHERE "customers"."email" = 'ann@x.org';
SELECT (1) AS "a" FROM "customers" WHERE "customers"."email" = 'ann@x.org' LIMIT 1;
SELECT 1 AS one FROM "customers" WHERE "customers"."email" = 'ann@x.org' AND "customers"."id" != 1 LIMIT 1;
SELECT EXISTS(SELECT 1 FROM customers WHERE email = 'ann@x.org') AS "exists";
SELECT EXISTS (SELECT 1 FROM customers AS c WHERE c.email = 'ann@x.org');
SELECT count(*) FROM (SELECT DISTINCT "customers"."email" AS "col1" FROM "customers" WHERE "customers"."city" = 'Bern') subquery;
SELECT count(*) FROM (SELECT customers.id, customers.email FROM customers) AS anon_1;
SELECT anon_1.customers_id, anon_1.customers_email FROM (SELECT customers.id AS customers_id, customers.email AS customers_email FROM customers ORDER BY customers.id LIMIT 2) AS anon_1 LEFT OUTER JOIN orders AS orders_1 ON anon_1.customers_id = orders_1.customer ORDER BY anon_1.customers_id, orders_1.id;
SELECT id, email, count(*) OVER () AS full_count FROM customers WHERE city = 'Bern' ORDER BY id LIMIT 2 OFFSET 1;
SELECT id, email FROM customers WHERE (n, id) > (2, 0) ORDER BY n, id LIMIT 2;
SELECT id, email FROM customers WHERE n > 2 OR (n = 2 AND id > 1) ORDER BY n ASC, id ASC LIMIT 3;
SELECT * FROM customers WHERE email = 'a' OR email = 'b' OR email = 'ann@x.org' OR email = 'bob@x.org' OR full_name = 'Cy O''Neil' ORDER BY id;
SELECT c.id, n.topic, c.email FROM customers c LEFT JOIN newsletter n ON n.email = c.email ORDER BY c.id, n.id;
SELECT 'customer' AS kind, id, email FROM customers UNION ALL SELECT 'newsletter', id, email FROM newsletter ORDER BY kind, id;
SELECT id, email, NULL::text AS region FROM customers UNION ALL SELECT id, email, region FROM sales.customers;
WITH a AS (SELECT id, email FROM customers WHERE city = 'Bern'), b AS (SELECT a.*, o.total FROM a LEFT JOIN orders o ON o.customer = a.id), c AS (SELECT id, email, sum(total) AS s FROM b GROUP BY id, email) SELECT * FROM c WHERE s > 1 ORDER BY s DESC;
-- refused
SELECT json_build_object('email', email) FROM customers;
-- refused
SELECT json_agg(json_build_object('id', id, 'email', email)) FROM customers;
-- refused
SELECT row_to_json(t) FROM (SELECT id, email FROM customers) t;
-- refused
SELECT to_jsonb(c) FROM customers c;
SELECT coalesce(json_agg(t), '[]') FROM (SELECT id, city FROM customers ORDER BY id) t;
-- refused
SELECT array_agg(email) FROM customers;
-- refused
SELECT city, array_agg(email ORDER BY id) FROM customers GROUP BY city;
-- refused
SELECT array_agg(DISTINCT email) FROM customers;
-- refused
SELECT string_agg(email, ',') FROM customers;
-- refused
SELECT ARRAY(SELECT email FROM customers ORDER BY id);
-- refused
SELECT ARRAY[email, full_name] FROM customers;
-- refused
SELECT ARRAY[email, email] FROM customers;
-- refused
SELECT COALESCE(email, '') FROM customers;
-- refused
SELECT COALESCE(email, 'none') AS e FROM customers;
SELECT COALESCE(c.email, n.email) FROM customers c FULL JOIN newsletter n ON c.email = n.email;
SELECT COALESCE(email, NULL) FROM customers;
-- refused
SELECT COALESCE(full_name, email, 'anonymous') FROM customers;
SELECT NULLIF(email, '') FROM customers;
SELECT NULLIF(email, 'ann@x.org') FROM customers;
-- refused
SELECT NULLIF('ann@x.org', email) FROM customers;
SELECT CASE WHEN n > 2 THEN email ELSE NULL END FROM customers;
SELECT CASE WHEN n > 2 THEN email END AS e FROM customers;
-- refused
SELECT CASE WHEN city = 'Bern' THEN email ELSE 'hidden' END FROM customers;
SELECT CASE city WHEN 'Bern' THEN email WHEN 'Oslo' THEN NULL ELSE email END FROM customers;
SELECT CASE WHEN email IS NULL THEN 'no' ELSE 'yes' END FROM customers;
SELECT CASE email WHEN 'ann@x.org' THEN 1 WHEN 'bob@x.org' THEN 2 ELSE 0 END FROM customers;
SELECT CASE WHEN email = 'ann@x.org' THEN 'it is' ELSE 'not' END FROM customers;
-- refused
SELECT GREATEST(email, full_name) FROM customers;
-- refused
SELECT MAX(email), MIN(email) FROM customers;
SELECT count(email), count(DISTINCT email), count(*) FILTER (WHERE email = 'ann@x.org') FROM customers;
SELECT sum(CASE WHEN email IS NULL THEN 1 ELSE 0 END), sum((email = 'ann@x.org')::int) FROM customers;
SELECT (SELECT c.email FROM customers c WHERE c.id = o.customer) AS email, o.id FROM orders o ORDER BY o.id;
SELECT o.id, (SELECT c.email FROM customers c WHERE c.id = o.customer LIMIT 1) = 'ann@x.org' AS ann FROM orders o ORDER BY o.id;
SELECT id FROM customers c WHERE EXISTS (SELECT 1 FROM newsletter n WHERE n.email = c.email AND n.topic = 'news');
SELECT id FROM customers WHERE email IN (SELECT email FROM newsletter);
SELECT id FROM customers WHERE email NOT IN (SELECT email FROM newsletter);
SELECT id FROM customers WHERE email = ANY (SELECT email FROM newsletter WHERE topic = 'sport');
SELECT id FROM customers WHERE email = (SELECT email FROM newsletter WHERE id = 2);
SELECT id FROM customers WHERE 'ann@x.org' IN (SELECT email FROM newsletter);
SELECT id FROM customers WHERE (id, email) IN (SELECT id, email FROM newsletter);
SELECT c.id, l.topic, l.email FROM customers c CROSS JOIN LATERAL (SELECT topic, email FROM newsletter n WHERE n.email = c.email ORDER BY n.id LIMIT 1) l ORDER BY c.id;
SELECT c.id, l.email FROM customers c LEFT JOIN LATERAL (SELECT email FROM newsletter n WHERE n.email = c.email LIMIT 1) l ON true ORDER BY c.id;
SELECT lag(email) OVER (ORDER BY id) FROM customers;
SELECT first_value(email) OVER (PARTITION BY city ORDER BY id) FROM customers;
SELECT DISTINCT ON (email) email, id FROM customers;
-- refused
SELECT DISTINCT ON (email) email, id FROM customers ORDER BY email, id;
SELECT DISTINCT ON (city) city, email FROM customers ORDER BY city, id;
SELECT email, city, count(*) FROM customers GROUP BY GROUPING SETS ((email), (city), ());
SELECT email, city, count(*), grouping(email) FROM customers GROUP BY ROLLUP (email, city);
SELECT email, city, count(*) FROM customers GROUP BY CUBE (email, city);
SELECT email, count(*) FROM customers GROUP BY email HAVING email = 'ann@x.org' OR count(*) > 1;
SELECT email FROM customers GROUP BY email HAVING email IS NOT NULL;
SELECT id, email FROM customers ORDER BY city FETCH FIRST 1 ROW WITH TIES;
SELECT id, email FROM customers TABLESAMPLE BERNOULLI (100) ORDER BY id;
-- refused
SELECT v.e, c.id FROM (VALUES ('ann@x.org'), ('bob@x.org')) AS v(e) JOIN customers c ON c.email = v.e;
SELECT c.id FROM customers c WHERE c.email IN (VALUES ('ann@x.org'), ('bob@x.org'));
SELECT c.id FROM customers c WHERE ROW(c.email, c.id) = ROW('ann@x.org', 1);
SELECT c.id FROM customers c WHERE (c.id, c.email) IN ((1,'ann@x.org'),(2,'x'));
SELECT id FROM customers WHERE email = ANY(ARRAY['ann@x.org','bob@x.org']);
SELECT id FROM customers WHERE email = ANY(ARRAY['ann@x.org','bob@x.org']::text[]);
SELECT id FROM customers WHERE email = ANY('{ann@x.org,bob@x.org}'::text[]);
SELECT id FROM customers WHERE NOT (email = 'ann@x.org');
SELECT id FROM customers WHERE NOT email = 'ann@x.org' AND email IS NOT NULL;
SELECT id FROM customers WHERE email IS NOT DISTINCT FROM 'ann@x.org';
SELECT id FROM customers WHERE email IS NOT DISTINCT FROM NULL;
-- refused
SELECT c.email FROM customers c JOIN (SELECT note AS email, id FROM customers) d USING (email);
-- refused
SELECT c.email FROM customers c JOIN products p ON p.name = c.email;
SELECT * FROM customers NATURAL JOIN products;
WITH RECURSIVE t(id, email, depth) AS (SELECT id, email, 1 FROM customers WHERE id = 1 UNION ALL SELECT c.id, c.email, depth + 1 FROM customers c JOIN t ON c.id = t.id + 1) SELECT * FROM t ORDER BY depth;
-- refused
SELECT email FROM customers UNION SELECT name FROM products;
-- refused
SELECT name FROM products UNION ALL SELECT email FROM customers;
SELECT email FROM customers INTERSECT SELECT email FROM newsletter;
SELECT email FROM customers EXCEPT SELECT email FROM newsletter;
-- refused
SELECT email FROM customers UNION SELECT 'all';
SELECT NULL AS email UNION ALL SELECT email FROM customers;
-- refused
SELECT '' AS email, 0 AS id UNION ALL SELECT email, id FROM customers;
-- refused
SELECT email::text, full_name::varchar, email::varchar(5) FROM customers;
-- refused
SELECT email || '' FROM customers;
-- refused
SELECT lower(email) FROM customers;
-- refused
SELECT id FROM customers WHERE lower(email) = lower('ANN@x.org');
-- refused
SELECT id FROM customers WHERE upper("customers"."email"::text) = upper('ann@x.org');
-- refused
SELECT id FROM customers WHERE email ILIKE '%ann%';
-- refused
SELECT email FROM customers ORDER BY email LIMIT 10;
-- refused
SELECT id FROM customers ORDER BY full_name NULLS LAST, id;
-- refused
SELECT split_part(email, '@', 2), count(*) FROM customers GROUP BY 1;
-- refused
SELECT length(email) FROM customers;
SELECT id FROM customers WHERE email <> '' AND email IS NOT NULL;
SELECT id FROM customers WHERE COALESCE(email, '') <> '';
SELECT id FROM customers WHERE COALESCE(email, '') = 'ann@x.org';
-- refused
SELECT id FROM customers WHERE COALESCE(email, full_name) = 'ann@x.org';
SELECT id FROM customers WHERE ('ann@x.org' IS NULL OR email = 'ann@x.org');
SELECT id FROM customers WHERE (CAST('ann@x.org' AS text) IS NULL OR email = CAST('ann@x.org' AS text));
-- with: ["ann@x.org"]
SELECT id FROM customers WHERE ($1::text IS NULL OR email = $1);
-- with: [null]
-- with: ["ann@x.org"]
SELECT id FROM customers WHERE email = COALESCE($1, email);
-- with: ["ann@x.org", "bob@x.org", "1", "20"]
SELECT id, email FROM customers WHERE email IN ($1, $2) AND n >= $3 ORDER BY id LIMIT $4;
-- with: [["ann@x.org", "bob@x.org"]]
SELECT id, email FROM customers WHERE email = ANY($1) ORDER BY id;
-- with: [["ann@x.org", "bob@x.org"]]
-- refused
SELECT c.id, u.e FROM unnest($1::text[]) WITH ORDINALITY u(e, i) LEFT JOIN customers c ON c.email = u.e ORDER BY u.i;
-- refused
SELECT id FROM customers WHERE email = 'ann@x.org'::citext;
SELECT DISTINCT c.email FROM customers c, newsletter n WHERE c.email = n.email;
SELECT c.* FROM customers c, LATERAL (SELECT 1) x WHERE c.email = 'ann@x.org';
-- refused
SELECT (c).email FROM customers c;
-- refused
SELECT (c.*)::text FROM customers c;
-- refused
SELECT c FROM customers c;
SELECT count(c), count(c.*) FROM customers c;
SELECT c.id, c.email FROM customers c WHERE c.id IN (SELECT customer FROM orders GROUP BY customer HAVING sum(total) > 5) ORDER BY 1;
SELECT to_char(now(), 'YYYY') IS NOT NULL, email FROM customers;
-- refused
SELECT concat(full_name, ' <', email, '>') FROM customers;
-- refused
SELECT format('%s', email) FROM customers;
-- refused
SELECT md5(email) FROM customers;
SELECT email = 'ann@x.org' AS is_ann, email FROM customers ORDER BY id;
SELECT bool_or(email = 'ann@x.org') FROM customers;
-- refused
SELECT mode() WITHIN GROUP (ORDER BY email) FROM customers;
-- refused
SELECT id FROM customers WHERE email BETWEEN 'a' AND 'b';
-- refused
SELECT id FROM customers WHERE email > 'a';
-- refused
SELECT id FROM customers WHERE email SIMILAR TO 'a%';
SELECT jsonb_build_object('n', count(*), 'with', count(email)) FROM customers;
SELECT x.* FROM (SELECT customers.*, rank() OVER (PARTITION BY city ORDER BY id) AS r FROM customers) x WHERE x.r = 1 ORDER BY id;
SELECT CAST(email AS varchar) AS email FROM customers ORDER BY id;
SELECT * FROM (SELECT * FROM customers) AS "source" LIMIT 1048575;
SELECT "source"."email" AS "email", count(*) AS "count" FROM (SELECT "public"."customers"."email" AS "email" FROM "public"."customers") AS "source" GROUP BY "source"."email";
-- refused
SELECT "public"."customers"."email" AS "email", COUNT(*) AS "count" FROM "public"."customers" GROUP BY "public"."customers"."email" ORDER BY "count" DESC, "public"."customers"."email" ASC;
-- refused
SELECT SUBSTRING(email FROM 1 FOR 3) FROM customers;
SELECT t.typ, count(*) FROM (SELECT CASE WHEN email IS NULL THEN 'none' WHEN email = '' THEN 'empty' ELSE 'some' END AS typ FROM customers) t GROUP BY t.typ ORDER BY 1;
SELECT sum(n) FILTER (WHERE email IN ('ann@x.org', 'bob@x.org')) FROM customers;
EXPLAIN SELECT * FROM customers WHERE id = 1;
EXPLAIN (COSTS OFF) SELECT * FROM customers WHERE id = 1;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) SELECT * FROM customers WHERE email IS NULL;
SELECT id FROM customers c WHERE email = ALL (SELECT email FROM newsletter n WHERE n.id = 99);
SELECT * FROM newsletter n WHERE (SELECT count(*) FROM customers c WHERE c.email = n.email) > 0 ORDER BY id;
TABLE customers;
SELECT ALL email FROM customers;
SELECT email e FROM customers;
SELECT DISTINCT email, city FROM customers WHERE city IS NOT NULL;
SELECT max(id) OVER (PARTITION BY email), email FROM customers;
SELECT * FROM customers FOR UPDATE OF customers SKIP LOCKED;
SELECT count(DISTINCT (email, full_name)) FROM customers;
SELECT id FROM customers WHERE (email, full_name) IS NOT DISTINCT FROM ('ann@x.org', 'Ann Smith');
SELECT id FROM customers WHERE (email IS NULL) = (full_name IS NULL);
SELECT id FROM customers WHERE (email = 'ann@x.org') IS TRUE;
SELECT id FROM customers WHERE (email = 'ann@x.org') IS NOT TRUE;
SELECT id FROM customers WHERE num_nulls(email, full_name) > 0;
SELECT id FROM customers ORDER BY email IS NULL, id;
SELECT id FROM customers ORDER BY CASE WHEN email = 'bob@x.org' THEN 0 ELSE 1 END, id;
SELECT id FROM customers ORDER BY (email = 'bob@x.org') DESC NULLS LAST, id;
-- refused
SELECT pg_typeof(email), pg_column_size(email) FROM customers;
SELECT any_value(email) FROM customers WHERE id = 1;
-- refused
SELECT city, min(email) FROM customers GROUP BY city;
