-- schema: shop

SELECT * FROM measures ORDER BY id;
SELECT born, score, balance, seen, tag FROM measures WHERE id = 1;
SELECT id FROM measures WHERE born = '1990-02-28';
SELECT id FROM measures WHERE born = 'Feb 28, 1990';
SELECT id FROM measures WHERE born = date '1990-02-28';
SELECT id FROM measures WHERE born = '1990-02-28'::date;
SELECT id FROM measures WHERE born <> '1990-02-28' OR born IS NULL;
SELECT id FROM measures WHERE born IN ('1990-02-28', '20001231');
SELECT id FROM measures WHERE born = 'no date';
SELECT id FROM measures WHERE born = '1990-02-30';
SELECT id FROM measures WHERE score = 5;
SELECT id FROM measures WHERE score = -5;
SELECT id FROM measures WHERE score = '5';
SELECT id FROM measures WHERE score = ' 5 ';
SELECT id FROM measures WHERE score = 0;
SELECT id FROM measures WHERE score <> 5;
SELECT id FROM measures WHERE score IN (5, 0, -5);
SELECT id FROM measures WHERE score = 'x';
SELECT id FROM measures WHERE score = '99999999999';
-- refused
SELECT id FROM measures WHERE score = 99999999999;
-- refused
SELECT id FROM measures WHERE score = 5.0;
-- refused
SELECT id FROM measures WHERE score > 1;
-- refused
SELECT sum(score) FROM measures;
-- refused
SELECT born + 1 FROM measures;
-- refused
SELECT id FROM measures ORDER BY born;
SELECT id FROM measures WHERE balance = 10.5;
SELECT id FROM measures WHERE balance = '10.50';
SELECT id FROM measures WHERE balance = -10.5;
SELECT id FROM measures WHERE balance = 0;
-- refused
SELECT id FROM measures WHERE balance = 10.501;
SELECT id FROM measures WHERE seen = '2020-01-02 03:04:05+00';
SELECT id FROM measures WHERE seen = '2020-01-02 04:04:05+01';
SELECT id FROM measures WHERE seen = timestamptz '2020-01-02 03:04:05.678 UTC';
SELECT id FROM measures WHERE tag = '6BA7B810-9DAD-11D1-80B4-00C04FD430C1';
SELECT born, count(*) FROM measures GROUP BY born;
SELECT DISTINCT born, tag FROM measures;
SELECT a.id, b.id FROM measures a JOIN measures b ON a.born = b.born AND a.id <> b.id;
SELECT m.id, c.id FROM measures m JOIN customers c ON c.ref = m.tag;
INSERT INTO measures VALUES (10, '2001-02-03', 42, 1.005, '2022-02-02 02:02:02+02', '6ba7b810-9dad-11d1-80b4-00c04fd43010', 1) RETURNING *;
INSERT INTO measures (id, born) VALUES (11, 'March 4, 2002'), (12, '20030405'), (13, NULL), (14, 'infinity') RETURNING born;
INSERT INTO measures (id, born) VALUES (15, '2003-02-29');
INSERT INTO measures (id, born) VALUES (15, 'gibberish');
-- refused
INSERT INTO measures (id, score) VALUES (16, 1), (17, -1), (18, '0x10'::text::int), (19, ' 7 ');
INSERT INTO measures (id, score) VALUES (16, 1), (17, -1), (19, ' 7 ') RETURNING score;
INSERT INTO measures (id, score) VALUES (20, 2147483648);
INSERT INTO measures (id, score) VALUES (20, '2147483648');
INSERT INTO measures (id, score) VALUES (20, '1.5');
-- refused
INSERT INTO measures (id, score) VALUES (20, 1.5) RETURNING score;
INSERT INTO measures (id, balance) VALUES (21, 1), (22, '1.239'), (23, -0.001), (24, 12345678.99), (25, '1e2') RETURNING balance;
INSERT INTO measures (id, balance) VALUES (26, 123456789.99);
INSERT INTO measures (id, balance) VALUES (26, 'x');
INSERT INTO measures (id, seen) VALUES (27, '2020-01-01'), (28, '2020-01-01 10:00'), (29, '2020-06-01 10:00 Europe/Zurich') RETURNING seen;
INSERT INTO measures (id, seen) VALUES (30, '2020-13-01');
-- refused
INSERT INTO measures (id, seen) VALUES (31, now());
-- refused
INSERT INTO measures (id, born) VALUES (31, 'today');
UPDATE measures SET score = 6, born = '1999-09-09' WHERE score = 5 RETURNING *;
UPDATE measures SET balance = 3 WHERE balance = 10.50 RETURNING balance;
-- refused
UPDATE measures SET score = score + 1;
DELETE FROM measures WHERE born = '1999-09-09' RETURNING id;
-- with: ["1990-02-28"]
SELECT id, born FROM measures WHERE born = $1;
-- with: ["-5"]
SELECT id, score FROM measures WHERE score = $1;
-- with: ["0.00"]
SELECT id, balance FROM measures WHERE balance = $1;
-- with: ["2020-01-02 03:04:05+00"]
SELECT id, seen FROM measures WHERE seen = $1;
-- with: ["6ba7b810-9dad-11d1-80b4-00c04fd430c1"]
SELECT id, tag FROM measures WHERE tag = $1;
-- with: ["junk"]
SELECT id FROM measures WHERE born = $1;
-- with: ["junk"]
SELECT id FROM measures WHERE score = $1;
-- with: [40, "1980-01-01", 5, "1.50", "2020-01-01 00:00:00+00", "6ba7b810-9dad-11d1-80b4-00c04fd43040"]
INSERT INTO measures VALUES ($1, $2, $3, $4, $5, $6) RETURNING *;
-- with: [41, null, null, null, null, null]
INSERT INTO measures VALUES ($1, $2, $3, $4, $5, $6) RETURNING *;
-- with: [42, "1980-01-01"]
INSERT INTO measures (id, born) VALUES ($1, $2::date) RETURNING born;
-- with: [42, "7"]
INSERT INTO measures (id, score) VALUES ($1, $2::int) ON CONFLICT (id) DO UPDATE SET score = EXCLUDED.score RETURNING score;
