-- schema: shop

-- SELECTs that mix protected columns with each other, with values and with NULL.
SELECT code FROM codes UNION ALL SELECT NULL;
SELECT code FROM codes UNION SELECT NULL;
SELECT CASE WHEN id > 0 THEN code END FROM codes;
SELECT COALESCE(code, code) FROM codes;
SELECT COALESCE(code, NULL) FROM codes;
SELECT NULLIF(code, 'A-1') FROM codes;
SELECT NULLIF(code, 'x'), NULLIF(name, 'x') FROM codes;
SELECT NULLIF(full_name, 'x') FROM customers;
SELECT NULLIF(born, '1990-02-28'), NULLIF(balance, 0), NULLIF(score, 5), NULLIF(tag, '6ba7b810-9dad-11d1-80b4-00c04fd430c1'), NULLIF(seen, '2020-01-02 03:04:05+00') FROM measures;
-- refused
SELECT CASE WHEN id = 1 THEN born END, CASE WHEN id = 1 THEN balance ELSE balance END, COALESCE(balance, NULL) FROM measures;
SELECT born FROM measures UNION SELECT NULL;
SELECT balance FROM measures UNION ALL SELECT NULL;
SELECT CASE WHEN c.id = 1 THEN c.full_name ELSE k.name END FROM customers c JOIN codes k USING (id);
SELECT CASE WHEN c.id = 1 THEN k.name ELSE c.full_name END FROM customers c JOIN codes k USING (id);
SELECT COALESCE(k.name, c.full_name) FROM customers c JOIN codes k USING (id);
SELECT full_name FROM customers UNION ALL SELECT name FROM codes;
SELECT name FROM sales.customers UNION SELECT full_name FROM customers;
SELECT x.e FROM (SELECT CASE WHEN n > 2 THEN email END AS e FROM customers) x WHERE x.e = 'cy@y.net';
SELECT x.e, count(*) FROM (SELECT COALESCE(c.email, n.email) AS e FROM customers c FULL JOIN newsletter n ON c.email = n.email) x GROUP BY x.e;
SELECT DISTINCT CASE WHEN n > 2 THEN email END FROM customers;
SELECT email, count(*) OVER (PARTITION BY CASE WHEN n > 2 THEN email END) FROM customers WHERE id = 1;
SELECT CASE WHEN email = 'ann@x.org' THEN email END FROM customers;
SELECT CASE email WHEN 'ann@x.org' THEN full_name ELSE NULL END FROM customers;
SELECT CASE email WHEN 'ann@x.org' THEN 1 WHEN NULL THEN 2 ELSE 0 END FROM customers;
SELECT CASE WHEN true THEN 'ann@x.org' ELSE 'bob@x.org' END = email FROM customers;
SELECT (SELECT email FROM newsletter WHERE id = 1) = (SELECT email FROM customers WHERE id = 1);
SELECT email FROM customers WHERE COALESCE(email, '') = COALESCE('', email);
SELECT id FROM codes WHERE COALESCE(code, 'B-2') = 'B-2   ';
SELECT id FROM codes WHERE CASE WHEN id = 1 THEN code ELSE 'zz' END = 'zz';
SELECT id FROM measures WHERE COALESCE(born, '1990-02-28') = '1990-2-28';
SELECT id FROM measures WHERE COALESCE(born, date '2000-12-31') = date '2000-12-31';
SELECT id FROM measures WHERE COALESCE(score, 5) = 5;
SELECT id FROM measures WHERE COALESCE(score, 0) = 0;
-- refused
SELECT id FROM measures WHERE COALESCE(balance, 0) = 0;
SELECT id FROM measures WHERE NULLIF(score, 5) = -5;
SELECT id FROM measures WHERE NULLIF(score, 5) IS NULL;
SELECT email FROM customers WHERE NULLIF(email, '') IS NOT NULL;
SELECT email FROM customers WHERE NULLIF(email, '') = ANY('{ann@x.org}');
SELECT count(NULLIF(email, '')), count(DISTINCT NULLIF(email, '')) FROM customers;
SELECT id FROM customers WHERE (email, full_name) = (SELECT email, name FROM sales.customers WHERE id = 1);
SELECT id FROM customers WHERE (email, full_name) IN (SELECT email, name FROM sales.customers);
SELECT id FROM customers WHERE (email, note) IN (SELECT email, topic FROM newsletter);
SELECT id FROM customers WHERE email = ALL ('{ann@x.org}');
SELECT id FROM customers WHERE email <> ALL ('{ann@x.org,NULL}');
SELECT id FROM customers WHERE email <> ANY ('{ann@x.org,bob@x.org}');
SELECT id FROM customers WHERE email NOT IN ('ann@x.org', 'bob@x.org', '');
SELECT id FROM customers c WHERE NOT EXISTS (SELECT FROM newsletter n WHERE n.email = c.email);
SELECT c.id, d.id FROM customers c JOIN customers d ON c.phone = d.phone AND c.id < d.id;
SELECT c.id FROM customers c JOIN codes k ON k.name = c.full_name;
SELECT m.id FROM measures m JOIN customers c ON c.ref = m.tag;
SELECT n.email, n.topic FROM newsletter n WHERE (n.email, n.id) IN (SELECT email, max(id) FROM newsletter GROUP BY email);
SELECT * FROM (SELECT email, row_number() OVER (PARTITION BY email ORDER BY id) AS rn FROM newsletter) t WHERE rn = 1 AND email = 'ann@x.org';
SELECT email FROM (TABLE newsletter) t WHERE topic = 'news';
SELECT e AS "E Mail" FROM (SELECT email) AS x(e), customers;
SELECT x.e FROM customers, LATERAL (SELECT email AS e) x;
SELECT x.e FROM customers CROSS JOIN LATERAL (VALUES (email), (NULL)) AS x(e) WHERE customers.id = 1;
SELECT x.e FROM customers CROSS JOIN LATERAL (VALUES (email), (email)) AS x(e) WHERE customers.id = 1;
SELECT k, v FROM customers CROSS JOIN LATERAL (VALUES ('email', email), ('mail', email)) AS x(k, v) WHERE customers.id = 1;
SELECT email FROM customers GROUP BY 1 HAVING count(*) = 1 AND email IN ('ann@x.org', 'bob@x.org');
SELECT email AS n, n AS email FROM customers ORDER BY customers.n;
SELECT email AS n, n AS email FROM customers ORDER BY email;
SELECT id AS email FROM customers ORDER BY email;
SELECT id AS email, note AS full_name FROM customers GROUP BY email, id, note;
SELECT (SELECT count(*) FROM newsletter n WHERE n.email = c.email) AS n, c.email FROM customers c ORDER BY n, c.id;
SELECT c.email FROM customers c WHERE c.id = (SELECT min(id) FROM customers d WHERE d.email = c.email);
WITH w AS (SELECT email FROM customers), x AS (SELECT email FROM w EXCEPT SELECT email FROM newsletter) SELECT count(*) FROM x;
WITH w(e) AS (VALUES ('ann@x.org'), ('bob@x.org')) SELECT c.id FROM customers c JOIN w ON w.e = c.email;
WITH w AS (SELECT 'ann@x.org'::text AS e) SELECT c.id FROM customers c, w WHERE c.email = w.e;
SELECT c.id FROM customers c, (SELECT 'ann@x.org'::text AS e) w WHERE c.email = w.e;
SELECT c.id FROM customers c JOIN unnest(ARRAY['ann@x.org', 'bob@x.org']) AS u(e) ON u.e = c.email;
SELECT c.id FROM customers c JOIN unnest('{ann@x.org,bob@x.org}'::text[]) AS u(e) ON u.e = c.email;
SELECT c.id FROM customers c WHERE c.email = ANY (SELECT unnest('{ann@x.org,bob@x.org}'::text[]));
SELECT c.id FROM customers c WHERE c.email IN (SELECT * FROM unnest('{ann@x.org,bob@x.org}'::text[]));
-- refused
SELECT c.id FROM customers c WHERE c.email IN (SELECT jsonb_array_elements_text('["ann@x.org"]'));
-- with: ["[\"ann@x.org\"]"]
-- refused
SELECT c.id FROM customers c WHERE c.email IN (SELECT jsonb_array_elements_text($1::jsonb));
-- with: ["ann@x.org", 2]
SELECT c.id, c.email FROM customers c WHERE c.email = $1 OR $1 = '' OR c.n = $2;
-- with: [["ann@x.org"]]
SELECT id FROM customers WHERE email = ANY($1::text[]) OR cardinality($1::text[]) = 0;
-- with: ["ann@x.org"]
SELECT CASE WHEN email = $1 THEN 'me' ELSE 'other' END FROM customers ORDER BY id;
-- with: [2, 1]
SELECT id, email FROM customers ORDER BY id LIMIT $1 OFFSET $2;
-- with: ["ann@x.org"]
SELECT id FROM customers WHERE email IS NOT DISTINCT FROM $1;
-- with: [null]
SELECT email FROM ONLY customers ORDER BY id;
SELECT email FROM customers*;
SELECT customers FROM (SELECT id FROM customers) customers;
SELECT t FROM (SELECT id, note FROM customers) t;
SELECT row_to_json(t) FROM (SELECT id, note FROM customers) t;
SELECT json_agg(t) FROM (SELECT id, city FROM customers WHERE email IS NOT NULL ORDER BY id) t;
SELECT sum(o.total) FILTER (WHERE c.email <> 'ann@x.org'), count(*) FROM orders o JOIN customers c ON c.id = o.customer;
SELECT c.city, string_agg(c.note, ',' ORDER BY c.id) FROM customers c WHERE c.email IS NOT NULL GROUP BY c.city ORDER BY c.city;
SELECT email, 'x' AS email FROM customers WHERE id = 1;
SELECT EXISTS (SELECT email FROM customers WHERE email = 'ann@x.org' INTERSECT SELECT email FROM newsletter);
SELECT * FROM customers c LEFT JOIN newsletter n USING (email) ORDER BY c.id, n.id;
SELECT email FROM customers c FULL JOIN newsletter n USING (email);
SELECT c.id FROM customers c NATURAL JOIN sales.customers s;
