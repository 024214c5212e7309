-- schema: shop

INSERT INTO customers (id, email) VALUES (1, 'c1@x.org') ON CONFLICT DO NOTHING;
INSERT INTO customers (id, email) VALUES (1, 'c2@x.org') ON CONFLICT (id) DO NOTHING RETURNING id;
INSERT INTO customers (id, email) VALUES (1, 'c3@x.org') ON CONFLICT (id) DO UPDATE SET email = EXCLUDED.email RETURNING *;
INSERT INTO customers (id, email) VALUES (2, 'c4@x.org') ON CONFLICT (id) DO UPDATE SET email = 'c5@x.org' RETURNING email;
INSERT INTO customers AS c (id, email) VALUES (2, 'c6@x.org') ON CONFLICT (id) DO UPDATE SET email = EXCLUDED.email WHERE c.email <> 'nobody@x.org' RETURNING c.email;
INSERT INTO customers (id, email) VALUES (30, 'cy@y.net') ON CONFLICT (email) DO UPDATE SET full_name = 'Cy New', note = 'met' RETURNING id, email, full_name;
INSERT INTO customers (id, email) VALUES (31, 'cy@y.net') ON CONFLICT (email) DO NOTHING;
INSERT INTO customers (id, email) VALUES (32, 'cy@y.net') ON CONFLICT ON CONSTRAINT customers_email_key DO UPDATE SET n = customers.n + 1 RETURNING n;
INSERT INTO customers (id, email) VALUES (33, 'Cy@y.net') ON CONFLICT (email) DO NOTHING RETURNING id;
INSERT INTO customers (id, email) VALUES (3, 'c7@x.org') ON CONFLICT (id) DO UPDATE SET (email, full_name) = ('c8@x.org', 'C Eight') RETURNING email, full_name;
INSERT INTO customers (id, email) VALUES (3, 'c9@x.org') ON CONFLICT (id) DO UPDATE SET (email, full_name) = ROW (EXCLUDED.email, EXCLUDED.full_name) RETURNING email, full_name;
INSERT INTO customers (id, email) VALUES (1, 'x') ON CONFLICT (email) DO NOTHING;
INSERT INTO customers (id, email) VALUES (34, 'c34@x.org'), (34, 'c35@x.org') ON CONFLICT (id) DO UPDATE SET email = EXCLUDED.email;
INSERT INTO customers (id, email) VALUES (34, 'c34@x.org') ON CONFLICT (nosuch) DO NOTHING;
-- with: [4, "c40@x.org", "c41@x.org"]
INSERT INTO customers (id, email) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET email = $3 RETURNING id, email;
-- with: [4, "c42@x.org", "c43@x.org", "c41@x.org"]
INSERT INTO customers AS c (id, email) VALUES ($1, $2), (40, 'c44@x.org') ON CONFLICT (id) DO UPDATE SET email = $3 WHERE c.email IS DISTINCT FROM $4 RETURNING id, email;
-- with: [4, "c45@x.org"]
INSERT INTO customers (id, email) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET email = $2, note = 'again';
-- with: [4, "c46@x.org"]
-- refused
INSERT INTO customers (id, email) VALUES ($1, 'x') ON CONFLICT (id) DO UPDATE SET email = coalesce(NULL, customers.note) WHERE false;
INSERT INTO codes (id, code) VALUES (20, 'B-2') ON CONFLICT (code) DO UPDATE SET name = 'Bob Again' RETURNING *;
INSERT INTO products (id, name) VALUES (1, 'plum') ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name RETURNING *;
