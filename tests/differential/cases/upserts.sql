-- schema: shop
-- run: script

-- Writes as Hibernate, Prisma, TypeORM, Sequelize, ActiveRecord, EF Core, GORM, jOOQ, Doctrine and sqlx make them.
-- with: ["501", "h1@example.com", "Hib"]
insert into customers (email,full_name,id) values ($2,$3,$1);
-- with: ["h2@example.com", null, "501"]
update customers set email=$1,full_name=$2 where id=$3;
-- with: ["502", "p@example.com"]
INSERT INTO "public"."customers" ("id","email") VALUES ($1,$2) RETURNING "public"."customers"."id", "public"."customers"."email";
-- with: ["p2@example.com", "502"]
UPDATE "public"."customers" SET "email" = $1 WHERE ("public"."customers"."id" = $2 AND 1=1) RETURNING "public"."customers"."id", "public"."customers"."email", "public"."customers"."full_name";
-- with: ["p2@example.com"]
SELECT "public"."customers"."id", "public"."customers"."email" FROM "public"."customers" WHERE ("public"."customers"."email" = $1 AND 1=1) LIMIT 1 OFFSET 0;
-- with: ["503", "up@example.com", "Up"]
INSERT INTO "customers" AS "c" ("id", "email", "full_name", "phone") VALUES ($1, $2, $3, DEFAULT) ON CONFLICT ("id") DO UPDATE SET "email" = EXCLUDED."email", "full_name" = COALESCE(EXCLUDED."full_name", "c"."full_name") RETURNING "id", "full_name";
INSERT INTO "customers" AS "c" ("id", "email", "full_name") VALUES (503, 'up2@example.com', NULL), (504, NULL, 'Four') ON CONFLICT ("id") DO UPDATE SET "email" = EXCLUDED."email", "full_name" = COALESCE(EXCLUDED."full_name", "c"."full_name") WHERE "c"."email" IS DISTINCT FROM EXCLUDED."email" RETURNING "id", "full_name", (xmax = 0) AS inserted;
INSERT INTO customers (id, email) VALUES (503, 'up3@example.com') ON CONFLICT (id) DO UPDATE SET email = CASE WHEN customers.email IS NULL THEN excluded.email ELSE customers.email END RETURNING email;
INSERT INTO customers (id, email) VALUES (503, 'up4@example.com') ON CONFLICT (id) DO UPDATE SET email = COALESCE(NULLIF(excluded.email, ''), customers.email), full_name = COALESCE('given', customers.full_name) RETURNING email, full_name;
INSERT INTO customers (id, email) VALUES (503, '') ON CONFLICT (id) DO UPDATE SET email = COALESCE(NULLIF(excluded.email, ''), customers.email) RETURNING email;
-- Sequelize
-- with: ["505", "s@example.com", "Seq"]
INSERT INTO "customers" ("id","email","full_name") VALUES ($1,$2,$3) RETURNING "id","email","full_name","phone","note";
INSERT INTO "customers" ("id","email","full_name") VALUES (506,'s2@example.com','O''Seq'),(507,'s3@example.com',NULL) ON CONFLICT ("id") DO NOTHING RETURNING "id","email";
-- with: ["seq@example.com", "505"]
UPDATE "customers" SET "email"=$1 WHERE "id" = $2;
SELECT count("Customer"."id") AS "count" FROM "customers" AS "Customer" WHERE ("Customer"."email" = 'seq@example.com' OR "Customer"."email" IS NULL) AND "Customer"."full_name" IN ('Seq', 'x');
-- ActiveRecord
-- with: ["508", "ar@example.com", "Rec"]
INSERT INTO "customers" ("id", "email", "full_name") VALUES ($1, $2, $3) RETURNING "id";
INSERT INTO "customers" ("id","email","full_name") VALUES (508, 'ar2@example.com', 'Rec'), (509, 'ar3@example.com', 'Rec') ON CONFLICT ("id") DO UPDATE SET "email"=excluded."email","full_name"=excluded."full_name" RETURNING "id";
-- with: ["ar2@example.com", "1"]
SELECT 1 AS one FROM "customers" WHERE "customers"."email" = $1 LIMIT $2;
-- with: ["ar2@example.com", "508", "1"]
SELECT 1 AS one FROM "customers" WHERE "customers"."email" = $1 AND "customers"."id" != $2 LIMIT $3;
-- TypeORM
-- with: ["510", "t@example.com"]
INSERT INTO "customers"("id", "email", "full_name", "phone") VALUES ($1, $2, DEFAULT, DEFAULT) RETURNING "full_name", "note";
-- with: ["t2@example.com", "510"]
UPDATE "customers" SET "email" = $1, "note" = CURRENT_DATE::text WHERE "id" IN ($2);
-- with: ["t2@example.com"]
SELECT DISTINCT "distinctAlias"."Customer_id" AS "ids_Customer_id" FROM (SELECT "Customer"."id" AS "Customer_id", "Customer"."email" AS "Customer_email" FROM "customers" "Customer" WHERE "Customer"."email" = $1) "distinctAlias" ORDER BY "Customer_id" ASC LIMIT 1;
-- EF Core
-- with: ["511", "ef@example.com", "512", "ef2@example.com"]
INSERT INTO customers (id, email) VALUES ($1, $2) RETURNING note;
-- with: ["ef3@example.com", "ef@example.com", "511"]
UPDATE customers SET email = $1 WHERE id = $3 AND email = $2;
UPDATE customers AS c SET email = 'ef4@example.com', full_name = CASE WHEN c.full_name IS NULL THEN 'EF' ELSE c.full_name END WHERE c.id = 511 RETURNING c.full_name;
DELETE FROM customers AS c WHERE c.email = 'ef4@example.com';
-- GORM, jOOQ, Doctrine
-- with: ["513", "g@example.com", "G"]
INSERT INTO "customers" ("id","email","full_name") VALUES ($1,$2,$3) ON CONFLICT ("email") DO UPDATE SET "full_name"="excluded"."full_name" RETURNING "id";
-- with: ["g@example.com"]
SELECT * FROM "customers" WHERE email = $1 AND "customers"."id" IS NOT NULL ORDER BY "customers"."id" LIMIT 1;
-- with: ["514", "j@example.com", "J"]
insert into "public"."customers" ("id", "email", "full_name") select cast($1 as int), cast($2 as varchar), cast($3 as varchar(60)) where not exists (select 1 as "one" from "public"."customers" where "public"."customers"."email" = cast($2 as varchar));
-- with: ["515", "j2@example.com", "516", "j3@example.com"]
insert into "public"."customers" ("id", "email") select * from (values (cast($1 as int), cast($2 as varchar)), (cast($3 as int), cast($4 as varchar))) as "t" ("id", "email") returning "public"."customers"."id";
update "public"."customers" set "email" = "t"."email", "full_name" = coalesce("t"."name", "public"."customers"."full_name") from (values (515, 'j4@example.com', cast(null as varchar)), (516, 'j5@example.com', 'Sixteen')) as "t" ("id", "email", "name") where "public"."customers"."id" = "t"."id" returning "public"."customers"."id", "public"."customers"."email", "public"."customers"."full_name";
-- with: ["515", "d@example.com"]
UPDATE customers SET email = $2 WHERE id = $1;
-- sqlx, Go, hand-written
-- with: ["{515,516}", "{q1@example.com,q2@example.com}", "{A,NULL}"]
UPDATE customers AS c SET email = u.email, full_name = COALESCE(u.name, c.full_name) FROM UNNEST($1::int[], $2::text[], $3::text[]) AS u(id, email, name) WHERE c.id = u.id RETURNING c.id, c.email, c.full_name;
-- with: ["{q1@example.com,nobody@example.com}"]
DELETE FROM customers WHERE email IN (SELECT * FROM UNNEST($1::text[])) RETURNING id;
-- with: ["{517,518}", "{r1@example.com,q2@example.com}"]
INSERT INTO customers (id, email) SELECT * FROM UNNEST($1::int[], $2::text[]) AS t(id, email) WHERE NOT EXISTS (SELECT 1 FROM customers c WHERE c.email = t.email) RETURNING id, email;
WITH updated AS (UPDATE customers SET full_name = 'w' WHERE email = 'r1@example.com' RETURNING id, email), logged AS (INSERT INTO newsletter (id, email) SELECT id + 1000, email FROM updated RETURNING email) SELECT u.id, l.email FROM updated u JOIN logged l ON l.email = u.email;
WITH del AS (DELETE FROM newsletter WHERE email = 'r1@example.com' RETURNING *) INSERT INTO newsletter SELECT * FROM del RETURNING email;
-- refused
MERGE INTO customers c USING (VALUES (517, 'm@example.com')) AS s(id, email) ON c.id = s.id WHEN MATCHED THEN UPDATE SET email = s.email WHEN NOT MATCHED THEN INSERT (id, email) VALUES (s.id, s.email);
SELECT id, email, full_name, note FROM customers WHERE id > 500 ORDER BY id;
