-- schema: shop

SELECT c.id, n.id FROM customers c JOIN newsletter n ON c.email = n.email;
SELECT c.id, n.email FROM customers c LEFT JOIN newsletter n ON c.email = n.email ORDER BY c.id, n.id;
SELECT c.email, n.email FROM customers c RIGHT JOIN newsletter n USING (email) ORDER BY n.id, c.id;
SELECT email FROM customers c FULL JOIN newsletter n USING (email);
SELECT * FROM customers JOIN newsletter USING (email);
SELECT * FROM customers c JOIN newsletter n USING (id, email);
SELECT * FROM newsletter NATURAL JOIN customers;
SELECT * FROM newsletter NATURAL LEFT JOIN (SELECT email, full_name FROM customers) c;
SELECT c.id, s.id FROM customers c JOIN sales.customers s ON s.email = c.email AND s.name = 'Ann Smith';
SELECT c.email, s.name FROM customers c, sales.customers s WHERE c.email = s.email;
SELECT a.id, b.id FROM customers a JOIN customers b ON a.full_name = b.full_name AND a.id < b.id;
SELECT a.email, b.email FROM customers a CROSS JOIN newsletter b WHERE a.id = 1 AND b.id = 2;
-- refused
SELECT c.id FROM customers c JOIN tenant2.customers t ON t.email = c.email;
-- refused
SELECT c.id FROM customers c JOIN customers d ON d.full_name = c.email;
SELECT c.id, t.email FROM customers c JOIN tenant2.customers t ON t.id = c.id WHERE c.email = 'bob@x.org' AND t.email = 'plain@x.org';
SELECT c.email, o.total FROM customers c JOIN orders o ON o.customer = c.id WHERE o.total > 6 ORDER BY o.id;
SELECT c.email, sum(o.total) FROM customers c JOIN orders o ON o.customer = c.id GROUP BY c.email;
SELECT c.email, sum(o.total) AS s FROM customers c LEFT JOIN orders o ON o.customer = c.id GROUP BY c.id ORDER BY s NULLS LAST, c.id;
SELECT c.email, t.total FROM customers c, LATERAL (SELECT total FROM orders o WHERE o.customer = c.id) t ORDER BY t.total;
SELECT c.id, t.e FROM customers c CROSS JOIN LATERAL (SELECT n.email AS e FROM newsletter n WHERE n.email = c.email AND n.topic = 'news') t;
SELECT c.id, t.* FROM customers c LEFT JOIN LATERAL (SELECT n.email, n.topic FROM newsletter n WHERE n.email = c.email) t ON true;
SELECT j.email FROM (customers c JOIN newsletter n USING (email)) AS j WHERE j.topic = 'news';
-- refused
SELECT j.email, j.id FROM customers c JOIN newsletter n USING (email) AS j;
SELECT t.e FROM (SELECT email AS e FROM customers WHERE email = 'ann@x.org') t WHERE t.e IS NOT NULL;
SELECT t.a, t.b FROM (SELECT id, email FROM customers) AS t (a, b) WHERE b = 'cy@y.net';
SELECT * FROM (SELECT * FROM (SELECT * FROM customers) a) b WHERE full_name = 'Ann Smith';
SELECT id, (SELECT n.email FROM newsletter n WHERE n.id = c.id) FROM customers c;
SELECT id, (SELECT count(*) FROM newsletter n WHERE n.email = c.email) FROM customers c;
SELECT id FROM customers c WHERE EXISTS (SELECT 1 FROM newsletter n WHERE n.email = c.email);
SELECT id FROM customers c WHERE NOT EXISTS (SELECT FROM newsletter n WHERE n.email = c.email);
SELECT id FROM customers WHERE email IN (SELECT email FROM newsletter WHERE topic = 'news');
SELECT id FROM customers WHERE email NOT IN (SELECT email FROM newsletter);
SELECT id FROM customers WHERE email = ANY (SELECT email FROM newsletter);
SELECT id FROM customers WHERE email <> ALL (SELECT email FROM newsletter WHERE email <> 'ann@x.org');
SELECT id FROM customers WHERE email = (SELECT email FROM newsletter WHERE id = 2);
SELECT id FROM customers WHERE 'ann@x.org' IN (SELECT email FROM newsletter);
SELECT id FROM orders WHERE customer IN (SELECT id FROM customers WHERE full_name = 'Ann Smith');
-- refused
SELECT id FROM customers WHERE email IN (SELECT note FROM customers);
WITH c AS (SELECT id, email FROM customers) SELECT email FROM c WHERE email <> 'ann@x.org';
WITH c (i, e) AS (SELECT id, email FROM customers), d AS (SELECT e FROM c WHERE i < 3) SELECT * FROM d;
WITH c AS MATERIALIZED (SELECT email FROM customers WHERE full_name = 'Ann Smith') SELECT c.email, n.topic FROM c JOIN newsletter n USING (email);
WITH customers AS (SELECT 1 AS id, 'x'::text AS email) SELECT email FROM customers WHERE email = 'x';
WITH RECURSIVE r (id, email) AS (SELECT id, email FROM customers WHERE id = 1 UNION ALL SELECT c.id, c.email FROM customers c JOIN r ON c.id = r.id + 1) SELECT * FROM r ORDER BY id;
WITH RECURSIVE t (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 3) SELECT t.n, c.email FROM t JOIN customers c ON c.id = t.n ORDER BY 1;
SELECT email FROM customers UNION SELECT email FROM newsletter;
SELECT email FROM customers UNION ALL SELECT email FROM newsletter;
SELECT email FROM customers INTERSECT SELECT email FROM newsletter;
SELECT email FROM customers EXCEPT SELECT email FROM newsletter;
SELECT email FROM newsletter EXCEPT ALL SELECT email FROM customers;
-- refused
SELECT id, email FROM customers UNION ALL SELECT id, NULL FROM orders ORDER BY 1, 2 DESC NULLS LAST LIMIT 0;
SELECT id, email FROM customers WHERE id = 1 UNION ALL SELECT id, NULL FROM newsletter WHERE id = 2 ORDER BY 1;
SELECT full_name FROM customers UNION SELECT name FROM sales.customers;
SELECT full_name FROM customers UNION ALL SELECT name FROM codes;
SELECT name FROM sales.customers UNION SELECT full_name FROM customers;
SELECT full_name FROM customers UNION ALL SELECT NULL;
SELECT NULL UNION ALL SELECT full_name FROM customers;
SELECT name FROM codes UNION SELECT name FROM codes;
SELECT full_name FROM customers c JOIN (SELECT name AS full_name FROM sales.customers) s USING (full_name);
SELECT name FROM sales.customers s JOIN codes USING (name);
SELECT name FROM sales.customers s FULL JOIN codes USING (name);
SELECT name FROM codes LEFT JOIN sales.customers s USING (name);
SELECT name FROM codes RIGHT JOIN sales.customers s USING (name);
SELECT email FROM customers UNION (SELECT email FROM newsletter INTERSECT SELECT email FROM sales.customers);
-- refused
SELECT email FROM customers UNION SELECT 'literal';
-- refused
SELECT email FROM customers UNION ALL SELECT note FROM customers;
-- refused
SELECT email FROM customers UNION SELECT full_name FROM customers;
SELECT id, 'customer' FROM customers WHERE email = 'bob@x.org' UNION ALL SELECT id, topic FROM newsletter WHERE email = 'zoe@z.io';
VALUES (1, 'x'), (2, (SELECT note FROM customers WHERE id = 1));
VALUES ((SELECT email FROM customers WHERE id = 1));
SELECT v.i, c.email FROM (VALUES (1), (2)) v (i) JOIN customers c ON c.id = v.i ORDER BY 1;
-- refused
SELECT c.id FROM (VALUES ('ann@x.org')) v (e) JOIN customers c ON c.email = v.e;
-- with: ["ann@x.org", "news"]
SELECT c.id FROM customers c JOIN newsletter n ON n.email = c.email AND n.email = $1 WHERE n.topic = $2;
-- with: ["ann@x.org"]
SELECT t.e FROM (SELECT email e FROM customers WHERE email = $1) t WHERE t.e = $1;
-- with: ["ann@x.org", 1]
WITH c AS (SELECT id, email FROM customers WHERE email = $1) SELECT c.email, o.total FROM c JOIN orders o ON o.customer = c.id WHERE c.id = $2 ORDER BY o.id;
-- with: ["ann@x.org"]
SELECT id FROM customers WHERE EXISTS (SELECT 1 FROM newsletter n WHERE n.email = $1 AND n.email = customers.email);
-- refused
SELECT c.id FROM customers c JOIN newsletter n ON c.email = n.nosuch;
SELECT email FROM customers, newsletter;
SELECT id FROM customers c JOIN newsletter n USING (nosuch);
SELECT g, c.email FROM generate_series(1, 3) g LEFT JOIN customers c ON c.id = g ORDER BY g;
SELECT c.email, u FROM customers c JOIN orders o ON o.customer = c.id, unnest(o.what) u ORDER BY 2;
SELECT c.email, p.name FROM customers c, cheap p WHERE c.id = 1;
SELECT twice(c.id), c.email FROM customers c ORDER BY 1;
