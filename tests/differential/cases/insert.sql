-- schema: shop

INSERT INTO customers (id, email) VALUES (10, 'new@x.org');
INSERT INTO customers (id, email, full_name, phone, street, note) VALUES (11, 'n11@x.org', 'N Eleven', '+12025550111', 'Way 11', 'hi');
INSERT INTO customers VALUES (12, 'n12@x.org', 'N Twelve', NULL, NULL, 'Way 12', 'note', 'Bern', 3);
INSERT INTO customers VALUES (13, 'n13@x.org');
INSERT INTO customers (id, note, email) VALUES (14, 'a', 'n14@x.org'), (15, 'b', NULL), (16, DEFAULT, 'n16@x.org');
INSERT INTO customers (email, id) VALUES (E'n17\x40x.org', 17), ($$n18@x.org$$, 18), ($t$n19@x.org$t$, 19), (U&'n20\0040x.org', 20);
INSERT INTO customers (id, email) VALUES (21, 'n21@'
  'x.org');
INSERT INTO customers (id, email) VALUES (22, 'n22@x.org'::text);
INSERT INTO customers (id, email) VALUES (23, CAST('n23@x.org' AS text)), (24, text 'n24@x.org'), (25, varchar 'n25@x.org');
INSERT INTO customers (id, email) VALUES (26, ('n26@x.org')), (27, (('n27@x.org'::varchar)));
INSERT INTO customers (id, full_name) VALUES (28, 'O''Brien'), (29, E'tab\there'), (30, ''), (31, '  padded  ');
INSERT INTO customers (id, full_name) VALUES (32, 'abcdefghij'::varchar(5));
INSERT INTO customers (id, full_name) VALUES (33, 'ünïcödé ☃ 😀'), (34, E'\u00fcn\u2603'), (35, U&'\00fcn\2603'), (36, U&'d!0061t' UESCAPE '!');
INSERT INTO customers (id, full_name) VALUES (37, DEFAULT), (38, NULL);
INSERT INTO customers (id, note) VALUES (39, 'plain note');
INSERT INTO customers (id, ref) VALUES (40, '6ba7b810-9dad-11d1-80b4-00c04fd43040'), (41, '{6BA7B8109DAD11D180B400C04FD43041}'), (42, uuid '6ba7b810-9dad-11d1-80b4-00c04fd43042'), (43, '6ba7b810-9dad-11d1-80b4-00c04fd43043'::uuid);
INSERT INTO customers (id, ref) VALUES (44, 'not a uuid');
INSERT INTO customers (id, full_name) VALUES (45, 'this name is longer than the sixty characters that the column has room for');
INSERT INTO customers (id, full_name) VALUES (46, 'sixty characters and then only blanks, which SQL lets us cut              ');
INSERT INTO customers (id, email) VALUES (1, 'duplicate key');
INSERT INTO customers (id, email) VALUES (47, 'ann@x.org');
INSERT INTO customers (id, email, n) VALUES (48, 'n48@x.org', 0);
INSERT INTO customers (id, email, n) VALUES (49, 'n49@x.org', NULL);
INSERT INTO customers (id, email) VALUES ('x', 'n50@x.org');
-- refused
INSERT INTO customers (id, email, nosuch) VALUES (51, 'n51@x.org', 1);
INSERT INTO customers (id, email) VALUES (52, 'n52@x.org', 'too many');
INSERT INTO customers (id, email, note) VALUES (53, 'n53@x.org');
INSERT INTO customers (id, email, email) VALUES (54, 'n54@x.org', 'x');
INSERT INTO customers (email) VALUES ('no id@x.org');
INSERT INTO customers (id, email) VALUES (55, 'n55@x.org') RETURNING *;
INSERT INTO customers (id, email) VALUES (56, 'n56@x.org') RETURNING id, email, email AS e, n + 1;
INSERT INTO customers AS c (id, email) VALUES (57, 'n57@x.org') RETURNING c.email, c.*;
INSERT INTO customers DEFAULT VALUES;
INSERT INTO customers (id, email) SELECT 58, 'n58@x.org';
-- refused
INSERT INTO customers (id, email) SELECT 100 + id, email || '.uk' FROM customers WHERE id < 0;
-- refused
INSERT INTO customers (id, email) SELECT 200 + id, email || '.uk' FROM customers;
INSERT INTO customers (id, full_name, phone) SELECT 300 + id, full_name, phone FROM customers WHERE id = 2;
INSERT INTO customers (id, email) SELECT 400 + id, email FROM newsletter WHERE id = 3 RETURNING id, email;
-- refused
INSERT INTO customers (id, email) (SELECT 401, 'n401@x.org' UNION ALL SELECT 402, 'n402@x.org');
INSERT INTO customers (id, email) (VALUES (59, 'n59@x.org'), (60, 'n60@x.org'));
INSERT INTO newsletter SELECT id + 10, email, note FROM customers WHERE email IS NOT NULL AND id < 3;
INSERT INTO newsletter (id, email) VALUES (70, NULL);
INSERT INTO newsletter VALUES (71, 'n71@x.org', 'x'), (72, 'n72@x.org', NULL), (71, 'again', 'dup');
-- with: ["n80@x.org"]
INSERT INTO customers (id, email) VALUES (80, $1);
-- with: [81, "n81@x.org", "N Eightyone", null, "note"]
INSERT INTO customers (id, email, full_name, phone, note) VALUES ($1, $2, $3, $4, $5);
-- with: [82, "n82@x.org"]
INSERT INTO customers VALUES ($1, $2);
-- with: [83, "n83@x.org"]
INSERT INTO customers (id, email) VALUES ($1, $2::text) RETURNING *;
-- with: [84, "n84@x.org"]
INSERT INTO customers (id, email) VALUES ($1, $2::varchar(4)) RETURNING email;
-- with: [85, "n85@x.org"]
INSERT INTO customers (id, email) VALUES ($1, CAST($2 AS varchar)), ($1 + 1, 'n86@x.org') RETURNING id, email;
-- with: ["n87@x.org", "n88@x.org", 87]
INSERT INTO customers (email, id) VALUES ($1, $3), ($2, $3 + 1);
-- with: [90, "n90@x.org"]
INSERT INTO customers (id, email, note) VALUES ($1, $2, $2) RETURNING email, note;
-- with: [91, null]
INSERT INTO customers (id, email) VALUES ($1, $2) RETURNING email;
-- with: [92, ""]
INSERT INTO customers (id, full_name) VALUES ($1, $2) RETURNING full_name;
-- with: [93, "6ba7b810-9dad-11d1-80b4-00c04fd43093"]
INSERT INTO customers (id, ref) VALUES ($1, $2) RETURNING ref;
-- with: [94, "zzz"]
INSERT INTO customers (id, ref) VALUES ($1, $2);
-- with: [95, "this name is longer than the sixty characters that the column has room for"]
INSERT INTO customers (id, full_name) VALUES ($1, $2);
-- with: [96, "n96@x.org"]
-- refused
INSERT INTO customers (id, email) VALUES ($1, lower($2));
-- with: [97, "n97@x.org"]
-- refused
INSERT INTO customers (id, email) VALUES ($1, coalesce($2, 'a@x'));
-- refused
INSERT INTO customers (id, email) VALUES (98, lower('N98@X.org'));
-- refused
INSERT INTO customers (id, email) VALUES (99, 'n99' || '@x.org');
-- with: [110, ["n110@x.org", "n111@x.org"]]
-- refused
INSERT INTO customers (id, email) SELECT $1 + row_number() OVER (), e FROM unnest($2::text[]) e;
-- with: [120, "n120@x.org"]
INSERT INTO customers (id, email) SELECT $1, $2;
INSERT INTO codes VALUES (10, 'C-10', 'Carl', 'abc'), (11, 'C-11   ', NULL, 'abc   ');
INSERT INTO codes (id, code) VALUES (12, 'A-1  ');
INSERT INTO codes (id, code) VALUES (13, 'this code is much longer than forty characters are');
INSERT INTO codes (id, code) VALUES (14, 'fourteen                                        ') RETURNING code;
-- with: [15, "Q-15  "]
INSERT INTO codes (id, code) VALUES ($1, $2) RETURNING code, length(note), id;
-- with: [16, "A-1     "]
INSERT INTO codes (id, code) VALUES ($1, $2);
INSERT INTO sales.customers VALUES (10, 's10@x.org', 'S Ten', 'west') RETURNING *;
INSERT INTO tenant2.customers VALUES (10, 't10@x.org', 'T Ten', 'west') RETURNING *;
INSERT INTO "Mixed"."People Table" ("Id", "E-Mail", "select", "Order") VALUES (10, 'm10@x.org', 'M Ten', 'o') RETURNING *, "select" AS "From";
INSERT INTO "Mixed"."People Table" VALUES (11, 'm11@x.org', 'M Eleven', 'o') RETURNING "E-Mail";
INSERT INTO orders (customer, total) VALUES (1, 3.50), (2, DEFAULT) RETURNING *;
INSERT INTO orders (customer) VALUES (99);
INSERT INTO orders (customer) SELECT id FROM customers WHERE email = 'bob@x.org' RETURNING *;
WITH x AS (INSERT INTO newsletter VALUES (80, 'n80@x.org', 'w') RETURNING id, email) SELECT * FROM x;
WITH x AS (INSERT INTO newsletter VALUES (81, 'n81@x.org', 'w')) INSERT INTO newsletter VALUES (82, 'n82@x.org', 'w') RETURNING email;
WITH v AS (SELECT email FROM customers WHERE id = 2) INSERT INTO newsletter (id, email) SELECT 83, email FROM v;
INSERT INTO newsletter (id, email) OVERRIDING SYSTEM VALUE VALUES (84, 'n84@x.org');
