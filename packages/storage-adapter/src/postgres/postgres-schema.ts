import { FormatError, UnavailableError } from '../errors.js'
import type { PostgresResult, PostgresQuery } from './postgres-driver.js'

/** The format of the tables, and what this version reads. */
const FORMAT = '1'

/** The first version of PostgreSQL with transaction ids that never come again (`xid8`). */
const LEAST_SERVER = 130_000

/** Transaction ids begin here, so a row with this one is older than all others. */
const FIRST_XID = '3'

/** Runs a statement. */
type Run = (query: PostgresQuery) => Promise<PostgresResult>

/** A name as SQL takes it. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/**
 * Makes the tables, unless they are there. Any number of processes may do so at once.
 *
 * @param place - where the server is, for messages
 * @param schema - the name of the schema
 * @throws FormatError when a newer version of this package made them
 */
export async function prepareSchema(run: Run, place: string, schema: string): Promise<void> {
  const version = await readNumber(run, "SELECT current_setting('server_version_num')::int AS n")
  if (version < LEAST_SERVER) {
    throw new UnavailableError(`${place} is version ${Math.floor(version / 10_000)}; use PostgreSQL 13 or later`)
  }
  const name = quoteName(schema)
  const literal = schema.replaceAll("'", "''")
  // Asked first, because most roles in production may not make schemas, and need not.
  const exists = await readNumber(
    run,
    `SELECT count(*)::int AS n FROM pg_tables WHERE schemaname = '${literal}' AND tablename = 'meta'`,
  )
  if (exists === 0) await run({ text: createSchema(name, literal) })
  const { rows } = await run({ text: `SELECT value FROM ${name}.meta WHERE name = 'format'` })
  const found = (rows[0] as { value: string } | undefined)?.value ?? 'unknown'
  if (found !== FORMAT) throw new FormatError(`Schema ${schema} of ${place}`, found, FORMAT)
  await run({ text: `SELECT ${name}.begin_log()` })
}

async function readNumber(run: Run, text: string): Promise<number> {
  const { rows } = await run({ text })
  return (rows[0] as { n: number } | undefined)?.n ?? 0
}

/**
 * Names are `bytea`: text cannot hold a NUL, and bytes are ordered by code point. Values are `text`, because `jsonb`
 * refuses `\u0000`. Several statements in one text are one transaction.
 */
function createSchema(schema: string, literal: string): string {
  const lock = `pg_advisory_xact_lock(hashtextextended('evenkeel ${literal}', 0))`
  return `
SELECT ${lock};
DO $make$ BEGIN
  IF to_regnamespace('${schema.replaceAll("'", "''")}') IS NULL THEN CREATE SCHEMA ${schema}; END IF;
END $make$;
CREATE TABLE IF NOT EXISTS ${schema}.meta (name text PRIMARY KEY, value text NOT NULL);
CREATE TABLE IF NOT EXISTS ${schema}.records (
  collection bytea NOT NULL,
  key bytea NOT NULL,
  value text NOT NULL,
  version text NOT NULL,
  expires_at double precision,
  PRIMARY KEY (collection, key)
);
CREATE INDEX IF NOT EXISTS records_by_expiry ON ${schema}.records (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS ${schema}.changes (
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  seq bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
  type text NOT NULL,
  collection bytea NOT NULL,
  key bytea NOT NULL,
  version text NOT NULL,
  PRIMARY KEY (xid, seq)
);
${beginLog(schema, lock)}
${tend(schema, literal)}
${commitBatch(schema)}
INSERT INTO ${schema}.meta (name, value) VALUES ('format', '${FORMAT}') ON CONFLICT DO NOTHING;
`
}

/**
 * The log always holds a row: a cursor is the row that was read last, and whoever has read none has the first one. After
 * a dump was restored into a younger server, its rows may have transaction ids that are yet to come; then a new log
 * begins, and every cursor of the old one is void.
 */
function beginLog(schema: string, lock: string): string {
  // One expression, and so one snapshot: in another, a transaction that ended in between would seem to be yet to come.
  const isSound = `(SELECT EXISTS (SELECT FROM ${schema}.changes) AND NOT EXISTS (
    SELECT FROM ${schema}.changes WHERE xid >= pg_snapshot_xmax(pg_current_snapshot())))`
  return `
CREATE OR REPLACE FUNCTION ${schema}.begin_log() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF ${isSound} THEN RETURN; END IF;
  PERFORM ${lock};
  IF ${isSound} THEN RETURN; END IF;
  DELETE FROM ${schema}.changes;
  INSERT INTO ${schema}.changes (xid, type, collection, key, version)
    VALUES ('${FIRST_XID}', 'begin', '', '', gen_random_uuid()::text);
END $$;`
}

/**
 * Removes old changes, from the oldest on and never one of a transaction that may still be running, and records that
 * expired long ago by both clocks. Returns how many there were; at most \`most\` of each kind are removed.
 */
function tend(schema: string, literal: string): string {
  return `
CREATE OR REPLACE FUNCTION ${schema}.tend(expired_before double precision, keep bigint, most int)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE pruned bigint; swept bigint;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtextextended('evenkeel tend ${literal}', 0)) THEN RETURN 0; END IF;
  WITH upper AS (
    SELECT xid, seq FROM ${schema}.changes WHERE xid < pg_snapshot_xmin(pg_current_snapshot())
    ORDER BY xid DESC, seq DESC OFFSET keep LIMIT 1
  ), beyond AS (
    SELECT c.xid, c.seq FROM ${schema}.changes c, upper u WHERE (c.xid, c.seq) < (u.xid, u.seq)
    ORDER BY c.xid, c.seq OFFSET most LIMIT 1
  )
  DELETE FROM ${schema}.changes c USING upper u
  WHERE (c.xid, c.seq) < (u.xid, u.seq) AND NOT EXISTS (SELECT FROM beyond b WHERE (c.xid, c.seq) >= (b.xid, b.seq));
  GET DIAGNOSTICS pruned = ROW_COUNT;
  DELETE FROM ${schema}.records WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM ${schema}.records
    WHERE expires_at < least(expired_before, extract(epoch FROM now()) * 1000 - 3600000)
    LIMIT most FOR UPDATE SKIP LOCKED
  ));
  GET DIAGNOSTICS swept = ROW_COUNT;
  RETURN greatest(pruned, swept);
END $$;`
}

/**
 * Commits a batch. Every record that the batch touches is locked before the first condition is judged, all in the order
 * of the keys, so that no two batches wait for each other. One that is absent is inserted, and so locked too: it is told
 * by its xmin and its version, which are ours. One that is only looked at is locked in such a way that others may look
 * too; before it come as many of the others as \`shared_after\` says.
 *
 * Each statement of the function sees what others committed before it, so what is judged and applied is the latest.
 * Plans are bound to the indexes, as the tables may have been empty when they were made.
 */
function commitBatch(schema: string): string {
  return `
CREATE OR REPLACE FUNCTION ${schema}.commit_batch(
  now_ms double precision,
  cleared bytea[], clear_versions text[],
  shared_collections bytea[], shared_keys bytea[], shared_after int[],
  collections bytea[], keys bytea[], types text[], new_values text[], versions text[], expiries double precision[],
  judged_collections bytea[], judged_keys bytea[], judged_versions text[], own_versions text[]
) RETURNS TABLE (failed bigint, met text) LANGUAGE plpgsql
SET enable_seqscan TO off SET enable_hashjoin TO off SET enable_mergejoin TO off
AS $$
#variable_conflict use_column
DECLARE
  own xid := pg_current_xact_id()::xid;
  taken int := 0; upto int; added int; fresh int := 0;
  -- Rows that were absent, as far as they are known: nobody need look at them again.
  placed_collections bytea[]; placed_keys bytea[];
  failure bigint; met_version text;
BEGIN
  FOR i IN 1 .. cardinality(shared_keys) + 1 LOOP
    upto := coalesce(shared_after[i], cardinality(keys));
    IF upto > taken THEN
      -- A row that is there already is locked, although the condition of its update is false.
      IF cardinality(shared_keys) = 0 THEN
        WITH placed AS (
          INSERT INTO ${schema}.records AS r (collection, key, value, version, expires_at)
            SELECT * FROM unnest(collections, keys, new_values, versions, expiries)
            ON CONFLICT (collection, key) DO UPDATE SET version = r.version WHERE false
            RETURNING collection, key
        )
        SELECT count(*), array_agg(collection), array_agg(key) INTO fresh, placed_collections, placed_keys FROM placed;
      ELSE
        -- One by one: every slice of an array costs as much as the whole array.
        FOR n IN taken + 1 .. upto LOOP
          INSERT INTO ${schema}.records AS r (collection, key, value, version, expires_at)
            VALUES (collections[n], keys[n], new_values[n], versions[n], expiries[n])
            ON CONFLICT (collection, key) DO UPDATE SET version = r.version WHERE false;
          GET DIAGNOSTICS added = ROW_COUNT;
          fresh := fresh + added;
        END LOOP;
      END IF;
      taken := upto;
    END IF;
    PERFORM FROM ${schema}.records r WHERE r.collection = shared_collections[i] AND r.key = shared_keys[i] FOR SHARE;
  END LOOP;
  IF cardinality(judged_keys) > 0 THEN
    SELECT j.n, r.version INTO failure, met_version
      FROM unnest(judged_collections, judged_keys, judged_versions, own_versions)
        WITH ORDINALITY AS j(collection, key, expected, own_version, n)
      LEFT JOIN ${schema}.records r ON r.collection = j.collection AND r.key = j.key
        AND (r.xmin = own AND r.version = j.own_version) IS NOT TRUE
        AND (r.expires_at IS NULL OR r.expires_at > now_ms)
      WHERE r.version IS DISTINCT FROM j.expected
        AND (j.expected IS NOT NULL
          OR (j.collection, j.key) NOT IN (SELECT * FROM unnest(placed_collections, placed_keys)))
      ORDER BY j.n LIMIT 1;
    IF failure IS NOT NULL THEN
      DELETE FROM ${schema}.records r USING unnest(collections, keys, versions) AS t(collection, key, version)
        WHERE r.collection = t.collection AND r.key = t.key AND r.xmin = own AND r.version = t.version;
      RETURN QUERY SELECT failure, met_version;
      RETURN;
    END IF;
  END IF;
  IF cardinality(cleared) > 0 THEN
    PERFORM FROM ${schema}.records r WHERE r.collection = ANY (cleared) ORDER BY r.collection, r.key FOR UPDATE;
    DELETE FROM ${schema}.records r WHERE r.collection = ANY (cleared);
    -- It removed those too.
    placed_collections := NULL; placed_keys := NULL;
  END IF;
  -- If every record was absent, all are in place.
  IF fresh < cardinality(keys) OR cardinality(cleared) > 0 THEN
    INSERT INTO ${schema}.records AS r (collection, key, value, version, expires_at)
      SELECT t.collection, t.key, t.value, t.version, t.expires_at
        FROM unnest(collections, keys, types, new_values, versions, expiries)
          AS t(collection, key, type, value, version, expires_at)
        WHERE t.type = 'put' AND (t.collection, t.key) NOT IN (SELECT * FROM unnest(placed_collections, placed_keys))
      ON CONFLICT (collection, key) DO UPDATE
        SET value = excluded.value, version = excluded.version, expires_at = excluded.expires_at
        WHERE NOT (r.xmin = own AND r.version = excluded.version);
  END IF;
  DELETE FROM ${schema}.records r USING unnest(collections, keys, types, versions) AS t(collection, key, type, version)
    WHERE t.type <> 'put' AND r.collection = t.collection AND r.key = t.key
      AND (t.type = 'delete' OR r.xmin = own AND r.version = t.version);
  INSERT INTO ${schema}.changes (type, collection, key, version)
    SELECT 'clear', c.collection, '', c.version FROM unnest(cleared, clear_versions) AS c(collection, version);
  INSERT INTO ${schema}.changes (type, collection, key, version)
    SELECT t.type, t.collection, t.key, t.version FROM unnest(collections, keys, types, versions)
      AS t(collection, key, type, version) WHERE t.type <> 'check';
END $$;`
}
