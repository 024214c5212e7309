-- schema: shop

SELECT * FROM customers;
SELECT id, email FROM customers ORDER BY id;
SELECT born.* FROM (SELECT id, full_name FROM customers) born;
SELECT ref, *, c.email FROM customers c;
SELECT c.*, n.*, c.email FROM customers c JOIN newsletter n ON n.email = c.email;
SELECT email AS "E Mail", full_name name FROM customers WHERE id = 1;
SELECT full_name, email, id, phone, street, ref FROM customers WHERE id > 2 ORDER BY id DESC LIMIT 2;
SELECT id FROM customers WHERE email = 'ann@x.org';
SELECT id FROM customers WHERE 'ann@x.org' = email;
SELECT id FROM customers WHERE email = 'Ann@x.org' OR email IS NULL;
SELECT id FROM customers WHERE email <> 'ann@x.org';
SELECT id FROM customers WHERE email != 'ann@x.org' AND full_name = 'Ann Smith';
SELECT id FROM customers WHERE NOT email = 'ann@x.org';
SELECT id FROM customers WHERE email IN ('ann@x.org', 'bob@x.org', 'nobody');
SELECT id FROM customers WHERE email NOT IN ('ann@x.org', 'bob@x.org');
SELECT id FROM customers WHERE email NOT IN ('ann@x.org', NULL);
SELECT id FROM customers WHERE email IN (NULL);
SELECT id FROM customers WHERE email = ANY ('{ann@x.org,bob@x.org,NULL}');
SELECT id FROM customers WHERE email = ANY (ARRAY['ann@x.org', 'cy@y.net']);
SELECT id FROM customers WHERE email <> ALL ('{ann@x.org,bob@x.org}');
SELECT id FROM customers WHERE email = ANY ('{}');
SELECT id FROM customers WHERE email <> ALL ('{"a,b","c\"d",NULL}');
-- refused
SELECT id FROM customers WHERE email = ANY ('{{ann@x.org,bob@x.org},{cy@y.net,q}}');
SELECT id FROM customers WHERE email IS NULL;
SELECT id FROM customers WHERE full_name IS NOT NULL;
SELECT id FROM customers WHERE email ISNULL OR phone NOTNULL;
SELECT id FROM customers WHERE email IS DISTINCT FROM 'ann@x.org';
SELECT id FROM customers WHERE email IS NOT DISTINCT FROM 'ann@x.org' OR full_name IS NOT DISTINCT FROM NULL;
SELECT id FROM customers WHERE (email, full_name) = ('ann@x.org', 'Ann Smith');
SELECT id FROM customers WHERE (email, city) <> ('ann@x.org', 'Bern');
SELECT id FROM customers WHERE (id, email) IN ((1, 'ann@x.org'), (2, 'cy@y.net'), (3, 'cy@y.net'));
SELECT id FROM customers WHERE ROW (id, email) IS DISTINCT FROM ROW (1, 'ann@x.org');
-- refused
SELECT id FROM customers WHERE (email, full_name) IN (SELECT n.email, 'Ann Smith' FROM newsletter n);
SELECT id FROM customers WHERE full_name = 'Cy O''Neil' OR full_name = E'Cy O\'Neil' OR full_name = $$x$$;
SELECT id FROM customers WHERE email = U&'\0061nn@x.org';
SELECT id FROM customers WHERE email = 'ann@' 
 'x.org';
SELECT id FROM customers WHERE email = 'ann@x.org'::text;
SELECT id FROM customers WHERE email = CAST('ann@x.org' AS varchar);
SELECT id FROM customers WHERE email = 'ann@x.orgXXX'::varchar(9);
SELECT id FROM customers WHERE email = text 'ann@x.org';
-- refused
SELECT id FROM customers WHERE email::text = 'ann@x.org';
SELECT id FROM customers WHERE (email) = ('ann@x.org');
SELECT id FROM customers WHERE email = '';
SELECT id FROM customers WHERE full_name = '';
SELECT id FROM customers WHERE ref = '6ba7b810-9dad-11d1-80b4-00c04fd430c1';
SELECT id, ref FROM customers WHERE ref = '6BA7B810-9DAD-11D1-80B4-00C04FD430C1'::uuid;
SELECT id FROM customers WHERE ref IN ('6ba7b810-9dad-11d1-80b4-00c04fd430c1', '{6ba7b8109dad11d180b400c04fd430c2}');
SELECT id FROM customers WHERE ref = 'no uuid';
SELECT id FROM customers WHERE ref <> ALL ('{6ba7b810-9dad-11d1-80b4-00c04fd430c1}');
SELECT count(*), count(email), count(DISTINCT email), count(DISTINCT full_name) FROM customers;
SELECT full_name, count(*) FROM customers GROUP BY full_name;
SELECT full_name, phone, count(*) FROM customers GROUP BY full_name, phone HAVING count(*) > 1;
SELECT full_name FROM customers GROUP BY 1 HAVING full_name <> 'Ann Smith';
SELECT city, count(DISTINCT full_name) FROM customers GROUP BY city ORDER BY city;
SELECT city, count(email) FILTER (WHERE email <> 'ann@x.org') FROM customers GROUP BY city;
SELECT full_name, city, count(*) FROM customers GROUP BY GROUPING SETS ((full_name), (city), ());
SELECT full_name, count(*) FROM customers GROUP BY ROLLUP (full_name);
SELECT DISTINCT full_name FROM customers;
SELECT DISTINCT full_name, phone, city FROM customers;
SELECT DISTINCT ON (city) city, id, email FROM customers ORDER BY city, id;
-- refused
SELECT DISTINCT ON (full_name) full_name, id FROM customers ORDER BY full_name, id;
-- refused
SELECT id, email FROM customers ORDER BY email;
-- refused
SELECT id, email FROM customers ORDER BY 2;
-- refused
SELECT id FROM customers WHERE email < 'b';
-- refused
SELECT id FROM customers WHERE email BETWEEN 'a' AND 'b';
-- refused
SELECT id FROM customers WHERE email LIKE 'a%';
-- refused
SELECT id FROM customers WHERE lower(email) = lower('ANN@x.org');
-- refused
SELECT upper(email) FROM customers;
-- refused
SELECT email || '' FROM customers;
-- refused
SELECT max(email) FROM customers;
-- refused
SELECT c FROM customers c;
-- refused
SELECT row_to_json(c) FROM customers c;
-- refused
SELECT string_agg(email, ',') FROM customers;
-- refused
SELECT CASE WHEN id = 1 THEN email ELSE phone END FROM customers;
-- refused
SELECT coalesce(email, 'none') FROM customers;
-- refused
SELECT length(email) FROM customers;
-- refused
SELECT street FROM customers WHERE street = 'Elm Street 1';
-- refused
SELECT DISTINCT street FROM customers;
SELECT street, id FROM customers WHERE street IS NOT NULL;
SELECT email IS NULL, email = 'ann@x.org', full_name IN ('Ann Smith') FROM customers ORDER BY id;
SELECT id, row_number() OVER (ORDER BY id), email FROM customers ORDER BY id;
SELECT id, email, sum(n) OVER (PARTITION BY city ORDER BY id) FROM customers ORDER BY id;
SELECT id, count(*) OVER (PARTITION BY full_name) FROM customers;
SELECT id, email, rank() OVER w FROM customers WINDOW w AS (PARTITION BY city ORDER BY n DESC);
-- refused
SELECT id, rank() OVER (ORDER BY email) FROM customers;
SELECT n + 1, note || 'x', upper(note), email FROM customers WHERE note IS NOT NULL ORDER BY n;
SELECT CASE WHEN email = 'ann@x.org' THEN 1 ELSE 0 END FROM customers ORDER BY id;
SELECT CASE WHEN email IS NULL THEN note ELSE city END FROM customers ORDER BY id;
SELECT * FROM customers WHERE false;
SELECT email FROM customers LIMIT 0;
SELECT email FROM customers ORDER BY id OFFSET 1 FETCH FIRST 2 ROWS ONLY;
SELECT email FROM customers ORDER BY id FOR UPDATE;
SELECT ALL email FROM ONLY customers;
SELECT email, ctid IS NOT NULL, tableoid = 'customers'::regclass FROM customers WHERE id = 1;
TABLE customers;
SELECT "email", "c"."full_name" FROM "customers" AS "c" WHERE "c"."email" = 'ann@x.org';
SELECT EMAIL, Full_Name FROM CUSTOMERS WHERE Email = 'ann@x.org';
SELECT U&"\0065mail" FROM customers WHERE U&"\0065mail" = 'ann@x.org';
SELECT/* a comment with 'quotes' */email/**/FROM customers--x
 WHERE email='ann@x.org'/* nested /* one */ 'x' */;
SELECT public.customers.email FROM public.customers WHERE public.customers.id = 1;
-- refused
SELECT nosuch FROM customers;
-- refused
SELECT customers.nosuch, email FROM customers WHERE email = 'x';
SELECT email FROM customers WHERE id = 'x';
-- refused
SELECT email FROM customers c WHERE customers.id = 1;
SELECT email FROM customers GROUP BY id HAVING n = 1;
SELECT email, n FROM customers GROUP BY email;
SELECT email FROM customers WHERE email = 'a' AND;
SELECT 1/0 FROM customers WHERE email = 'ann@x.org';
SELECT 1/(n-1) FROM customers WHERE email = 'ann@x.org';
SELECT id, city::int FROM customers WHERE email = 'ann@x.org';
-- with: ["ann@x.org"]
SELECT id, email FROM customers WHERE email = $1;
-- with: ["ann@x.org"]
SELECT id FROM customers WHERE $1 = email OR full_name = $1;
-- with: [null]
SELECT id FROM customers WHERE email = $1;
-- with: ["nobody"]
SELECT id, email FROM customers WHERE email <> $1;
-- with: ["ann@x.org", "Ann Smith"]
SELECT id FROM customers WHERE (email, full_name) = ($1, $2);
-- with: ["ann@x.org", "bob@x.org", null]
SELECT id FROM customers WHERE email IN ($1, $2, $3, 'cy@y.net');
-- with: ["ann@x.org", null]
SELECT id FROM customers WHERE email NOT IN ($1, $2);
-- with: [["ann@x.org", "nobody", "bob@x.org"]]
SELECT id FROM customers WHERE email = ANY ($1);
-- with: [["ann@x.org", null]]
SELECT id FROM customers WHERE email <> ALL ($1);
-- with: [[]]
SELECT id FROM customers WHERE email = ANY ($1);
-- with: [["ann@x.org", "bob@x.org"]]
SELECT id FROM customers WHERE email = ANY ($1::text[]);
-- with: ["ann@x.org", "bob@x.org"]
SELECT id FROM customers WHERE email = ANY (ARRAY[$1, $2]);
-- with: ["ann@x.org"]
SELECT id FROM customers WHERE email = $1::text;
-- with: ["ann@x.org and more"]
SELECT id FROM customers WHERE email = $1::varchar(9);
-- with: ["ann@x.org"]
SELECT id FROM customers WHERE email IS DISTINCT FROM $1;
-- with: [null]
SELECT id FROM customers WHERE email IS NOT DISTINCT FROM $1;
-- with: ["6ba7b810-9dad-11d1-80b4-00c04fd430c1"]
SELECT id, ref FROM customers WHERE ref = $1;
-- with: ["x", 2]
SELECT id, email, $1 FROM customers WHERE id = $2;
-- with: ["ann@x.org", "fixed"]
SELECT id, $2::text AS c FROM customers WHERE email = $1;
-- with: [2]
SELECT email FROM customers ORDER BY id LIMIT $1;
-- with: ["a%"]
-- refused
SELECT id FROM customers WHERE email LIKE $1;
-- with: ["ann@x.org"]
-- refused
SELECT id FROM customers WHERE lower(email) = lower($1);
-- with: ["ann@x.org", "x"]
SELECT id FROM customers WHERE email = $1 AND note = $2 AND phone = $2 AND full_name = $1;
-- with: ["Ann Smith"]
SELECT id FROM customers WHERE full_name = $1;
-- with: ["Ann Smith", "x"]
SELECT id FROM customers WHERE full_name IN ($1) OR full_name IS DISTINCT FROM $2;
-- with: ["Ann Smith", "x"]
SELECT id FROM customers WHERE full_name IN ($1, $2) OR full_name IN ('x', $2) OR full_name IN ($2, full_name);
-- with: ["this name is longer than the sixty characters that the column has room for"]
SELECT id FROM customers WHERE full_name <> $1;
SELECT id FROM customers WHERE full_name <> 'this name is longer than the sixty characters that the column has room for';
-- with: ["Ann Smith", ["Ann Smith"]]
SELECT id FROM customers WHERE full_name = $1 AND full_name = ANY ($2);
-- with: ["Ann Smith"]
SELECT id FROM customers WHERE full_name = $1::varchar;
SELECT code, name FROM codes WHERE code = 'A-1';
SELECT code FROM codes WHERE code = 'B-2      ' AND note = 'x';
SELECT id, code FROM codes WHERE code IN ('A-1', 'B-2 ', NULL);
SELECT id, code FROM codes WHERE code <> 'A-1';
SELECT id, note FROM codes WHERE note = 'x';
SELECT code, count(*) FROM codes GROUP BY code;
-- with: ["B-2 "]
SELECT id, code FROM codes WHERE code = $1;
-- with: [["A-1", "B-2"]]
-- refused
SELECT id FROM codes WHERE code = ANY ($1);
SELECT * FROM codes ORDER BY id;
SELECT * FROM "Mixed"."People Table" WHERE "E-Mail" = 'ann@x.org';
SELECT "select", "E-Mail" AS "Order" FROM "Mixed"."People Table" p WHERE p."select" IS NULL;
SELECT e FROM (SELECT "E-Mail" e FROM "Mixed"."People Table") t WHERE e <> 'ann@x.org';
SELECT people FROM "Mixed".people;
EXPLAIN SELECT 1;
