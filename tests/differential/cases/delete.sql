-- schema: shop

DELETE FROM newsletter WHERE email = 'zoe@z.io';
DELETE FROM newsletter WHERE email = 'ann@x.org' RETURNING *;
DELETE FROM newsletter n USING customers c WHERE n.email = c.email AND c.id = 3 RETURNING n.id, c.email, n.email;
DELETE FROM newsletter AS n USING customers AS c WHERE c.email = n.email AND c.full_name <> 'Cy O''Neil';
DELETE FROM newsletter WHERE email IN (SELECT email FROM customers WHERE city = 'Bern') RETURNING id;
DELETE FROM newsletter WHERE email NOT IN ('a@x', NULL);
DELETE FROM customers WHERE email = 'ann@x.org';
DELETE FROM customers WHERE id = 4 RETURNING email, full_name, phone, ref;
DELETE FROM customers WHERE email IS NULL;
DELETE FROM customers WHERE email = '' RETURNING id;
-- with: ["Ann@x.org"]
DELETE FROM customers WHERE email = $1 RETURNING id, email;
-- with: [["Bob Jones", "Cy O'Neil"]]
DELETE FROM customers WHERE full_name = ANY ($1) AND id > 100;
WITH gone AS (DELETE FROM newsletter RETURNING *) SELECT email, topic FROM gone;
DELETE FROM codes WHERE code = 'A-1';
DELETE FROM sales.customers WHERE email = 'ann@x.org' RETURNING name, region;
DELETE FROM tenant2.customers WHERE email = 'ann@x.org' RETURNING *;
DELETE FROM "Mixed"."People Table" WHERE "E-Mail" = 'Eve@E.org' RETURNING "Id";
-- refused
DELETE FROM customers WHERE email LIKE 'a%';
-- refused
DELETE FROM customers WHERE nosuch = 'x';
DELETE FROM nosuch WHERE email = 'x';
TRUNCATE newsletter;
