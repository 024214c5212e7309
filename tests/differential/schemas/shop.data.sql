INSERT INTO customers (id, email, full_name, phone, ref, street, note, city, n) VALUES
  (1, 'ann@x.org', 'Ann Smith', '+12025550101', '6ba7b810-9dad-11d1-80b4-00c04fd430c1', 'Elm Street 1', 'first', 'Bern', 1),
  (2, 'bob@x.org', 'Bob Jones', '+12025550102', '6ba7b810-9dad-11d1-80b4-00c04fd430c2', 'Elm Street 2', NULL, 'Bern', 2),
  (3, 'cy@y.net', 'Cy O''Neil', NULL, NULL, NULL, 'third', 'Oslo', 3),
  (4, NULL, NULL, '', '6ba7b810-9dad-11d1-80b4-00c04fd430c4', '', '', 'Oslo', 4),
  (5, 'Ann@x.org', 'Ann Smith', '+12025550101', '6ba7b810-9dad-11d1-80b4-00c04fd430c1', 'Elm Street 1', 'fifth', NULL, 5),
  (6, '', '', '+442079460000', NULL, 'Ünïcode ☃ 6', 'sixth', 'Bern', 6);
INSERT INTO newsletter VALUES (1, 'ann@x.org', 'news'), (2, 'cy@y.net', 'sport'), (3, 'zoe@z.io', 'news'), (4, 'ann@x.org', 'sport');
INSERT INTO codes VALUES (1, 'A-1', 'Ann Smith', 'x'), (2, 'B-2  ', 'Bob Jones', 'x  '), (3, NULL, NULL, NULL), (4, '', '', '');
INSERT INTO measures VALUES (1, '1990-02-28', 5, 10.5, '2020-01-02 03:04:05+00', '6ba7b810-9dad-11d1-80b4-00c04fd430c1', 1),
  (2, '2000-12-31', -5, 0, '2020-01-02 03:04:05.678+00', NULL, 2), (3, NULL, NULL, NULL, NULL, NULL, 3),
  (4, '1990-02-28', 0, -10.50, '1999-12-31 23:59:59+00', '6ba7b810-9dad-11d1-80b4-00c04fd430c1', NULL);
INSERT INTO orders (customer, total, at, what) VALUES (1, 10.00, '2020-01-01', '{a,b}'), (1, 5.50, '2020-02-01', '{}'), (2, 7.25, NULL, NULL), (3, 0, '2021-03-04', '{"x y"}');
INSERT INTO products VALUES (1, 'apple', 1.5, '{fruit,red}', '{"a": 1}', '2020-01-01 00:00:00+00', 'A'), (2, 'pear', 12, '{fruit}', '{"a": [1, 2]}', NULL, 'B  '), (3, 'stone', NULL, NULL, NULL, '2020-02-01 00:00:00+00', NULL);
INSERT INTO sales.customers VALUES (1, 'ann@x.org', 'Ann Smith', 'north'), (2, 'dan@q.de', 'Dan Low', 'south');
INSERT INTO tenant2.customers VALUES (1, 'ann@x.org', 'Ann Plain', 'p'), (2, 'plain@x.org', 'Not Protected', NULL);
INSERT INTO "Mixed"."People Table" VALUES (1, 'ann@x.org', 'Ann Smith', 'o1'), (2, 'Eve@E.org', NULL, 'o2');
