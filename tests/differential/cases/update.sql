-- schema: shop

UPDATE customers SET email = 'u1@x.org' WHERE id = 1;
UPDATE customers SET email = 'u2@x.org', full_name = 'U Two', note = 'changed' WHERE id = 2 RETURNING *;
UPDATE customers SET email = NULL WHERE id = 3 RETURNING id, email;
UPDATE customers SET full_name = DEFAULT, note = DEFAULT WHERE id = 3 RETURNING full_name, note;
UPDATE customers SET email = '' WHERE email = 'cy@y.net';
UPDATE customers SET (email, phone) = ('u3@x.org', '+12025550133') WHERE id = 3 RETURNING email, phone;
UPDATE customers SET (email, phone) = ROW ('u4@x.org', NULL) WHERE id = 4 RETURNING email, phone;
UPDATE customers SET (email, full_name) = (SELECT 'u5@x.org', 'U Five') WHERE id = 5 RETURNING email, full_name;
UPDATE customers SET (email, note) = (SELECT email, topic FROM newsletter WHERE id = 3) WHERE id = 5 RETURNING email, note;
UPDATE customers SET email = (SELECT email FROM newsletter n WHERE n.id = 3) WHERE id = 6 RETURNING email;
UPDATE customers SET (email) = ROW ('u7@x.org') WHERE id = 6;
UPDATE customers SET full_name = full_name WHERE id = 1 RETURNING full_name;
UPDATE customers SET note = 'n' WHERE email = 'u1@x.org' RETURNING id, email;
UPDATE customers SET note = 'n' WHERE email IN ('u1@x.org', 'u2@x.org') AND full_name = 'U Two' RETURNING id;
UPDATE customers SET n = n + 1 WHERE phone IS NULL RETURNING id, n;
UPDATE customers c SET note = topic FROM newsletter n WHERE n.email = c.email RETURNING c.id, n.email, c.email, note;
UPDATE customers SET email = s.e FROM (VALUES (1, 'u8@x.org')) s (id, e) WHERE s.id = customers.id RETURNING email;
UPDATE customers SET email = s.e FROM (VALUES (1, 'u8@x.org'), (2, 'u9@x.org')) s (id, e) WHERE s.id = customers.id RETURNING email;
UPDATE customers c SET email = n.email FROM newsletter n WHERE n.id = 3 AND c.id = 2 RETURNING c.email, n.email;
UPDATE customers SET email = CASE id WHEN 1 THEN 'u10@x.org' ELSE email END;
-- refused
UPDATE customers SET email = email || '.uk' WHERE id = 1;
-- refused
UPDATE customers SET note = email WHERE id = 1;
-- refused
UPDATE customers SET full_name = email WHERE id = 1;
UPDATE customers SET email = 'ann@x.org' WHERE id = 2;
UPDATE customers SET email = 'dup@x.org';
-- refused
UPDATE customers SET nosuch = 'x';
UPDATE customers SET email = 'u', email = 'v';
UPDATE customers SET n = 0 WHERE email = 'ann@x.org';
UPDATE customers SET n = -1 WHERE id = 1;
UPDATE customers SET full_name = 'this name is longer than the sixty characters that the column has room for' WHERE id = 1;
UPDATE customers SET ref = 'not a uuid' WHERE id = 1;
UPDATE customers SET ref = '6BA7B810-9DAD-11D1-80B4-00C04FD430C9' WHERE ref = '6ba7b8109dad11d180b400c04fd430c2' RETURNING ref;
UPDATE customers SET street = 'New Road 7' WHERE id IN (1, 2) RETURNING street;
UPDATE ONLY public.customers AS c SET note = 'only' WHERE c.email = 'bob@x.org';
UPDATE customers * SET note = 'star' WHERE full_name = 'Ann Smith';
WITH x AS (SELECT id FROM customers WHERE email = 'cy@y.net') UPDATE customers SET note = 'cte' FROM x WHERE x.id = customers.id RETURNING customers.email;
WITH x AS (UPDATE customers SET email = 'w@x.org' WHERE id = 1 RETURNING id, email) SELECT email, id FROM x;
UPDATE codes SET code = 'Z-1' WHERE code = 'A-1    ' RETURNING code;
UPDATE codes SET name = 'Robert' WHERE code = 'B-2' AND note = 'x' RETURNING *;
UPDATE sales.customers SET email = 's@x.org' WHERE name = 'Dan Low' RETURNING *;
UPDATE tenant2.customers SET email = 't@x.org' WHERE full_name = 'Ann Plain' RETURNING *;
UPDATE "Mixed"."People Table" SET "E-Mail" = 'E@x.org', "Order" = 'E@x.org' WHERE "select" = 'Ann Smith' RETURNING *;
-- with: ["p1@x.org", 1]
UPDATE customers SET email = $1 WHERE id = $2;
-- with: ["p2@x.org", "+12025550199", 2]
UPDATE customers SET phone = $2, email = $1 WHERE id = $3 RETURNING email, phone;
-- with: ["p2@x.org"]
UPDATE customers SET email = $1 WHERE email = $1 RETURNING id;
-- with: ["p3@x.org", "p2@x.org"]
UPDATE customers SET email = $1, note = $1 WHERE email = $2 RETURNING email, note;
-- with: [null, "p3@x.org"]
UPDATE customers SET email = $1 WHERE email = $2 RETURNING id, email;
-- with: ["p4@x.org", null]
UPDATE customers SET email = $1 WHERE email = $2 RETURNING id, email;
-- with: ["Long Name Here", 1]
UPDATE customers SET full_name = $1::varchar(4) WHERE id = $2 RETURNING full_name;
-- with: [["ann@x.org", "bob@x.org", "cy@y.net"]]
UPDATE customers SET note = 'any' WHERE email = ANY ($1) RETURNING id, email;
-- with: ["A", "B", 3]
UPDATE customers SET (email, full_name) = ($1, $2) WHERE id = $3 RETURNING email, full_name;
-- with: [1, "q"]
-- refused
UPDATE customers SET email = CASE WHEN id = $1 THEN $2 ELSE email END;
UPDATE customers SET id = id + 1000 WHERE email = 'Ann@x.org' RETURNING id;
UPDATE measures SET n = 1 WHERE id = 1;

-- Values that are stored and compared: one token stands for both only where assignment leaves them as they are.
UPDATE codes t SET code = v.w FROM (VALUES (1, 'A-1'), (2, 'B-2')) v (id, w) WHERE v.w = t.code AND v.id = t.id RETURNING t.id;
-- refused
UPDATE codes t SET code = v.w FROM (VALUES (1, 'A-1'), (2, 'B-2  ')) v (id, w) WHERE v.w = t.code AND v.id = t.id RETURNING t.id;
UPDATE measures t SET balance = v.w FROM (VALUES (1, 10.50), (2, 1.0)) v (id, w) WHERE v.w = t.balance AND v.id = t.id RETURNING t.id;
-- refused
UPDATE measures t SET balance = v.w FROM (VALUES (1, 10.499)) v (id, w) WHERE v.w = t.balance RETURNING t.id;
-- refused
INSERT INTO customers (id, full_name) SELECT v.id, v.w FROM (VALUES (51, 'x123456789x123456789x123456789x123456789x123456789x123456789 ')) v (id, w) WHERE NOT EXISTS (SELECT 1 FROM customers c WHERE c.full_name = v.w);
