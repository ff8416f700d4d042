import { randomBytes } from 'node:crypto'
import { describe } from 'vitest'
import { loadPostgresDriver } from '../postgres/postgres-driver.js'
import { quoteName } from '../postgres/postgres-schema.js'
import { findPostgres, type PostgresServer } from './postgres-server.js'

/** The server of this machine. In continuous integration there must be one, so there nothing is left out. */
async function find(): Promise<PostgresServer | undefined> {
  try {
    return await findPostgres()
  } catch (error) {
    if (process.env['CI'] !== undefined) throw error
    console.warn(`TESTS OF POSTGRESQL ARE SKIPPED: ${String(error)}`)
    return undefined
  }
}

const server = await find()

/** Like `describe`, for tests that need PostgreSQL: skipped with one loud line where there is none. */
export const describePostgres: typeof describe | typeof describe.skip = server === undefined ? describe.skip : describe

/** Where the server is. */
export const postgresUrl: string = server?.url ?? ''

const schemas: string[] = []

/** A name that no other test has. What is made under it is removed by {@link removeSchemas}. */
export function newSchema(): string {
  const schema = `evenkeel_test_${randomBytes(6).toString('hex')}`
  schemas.push(schema)
  return schema
}

/** Runs statements on a connection of their own. */
export async function askPostgres(text: string, values: unknown[] = [], url: string = postgresUrl): Promise<unknown[]> {
  const { Client } = loadPostgresDriver()
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    const result = await client.query({ text, values })
    // Several statements give several results, which nobody asks for.
    return Array.isArray(result) ? [] : [...result.rows]
  } finally {
    await client.end()
  }
}

/** Leaves the server as it was found. */
export async function removeSchemas(): Promise<void> {
  if (server === undefined) return
  for (const schema of schemas.splice(0)) await askPostgres(`DROP SCHEMA IF EXISTS ${quoteName(schema)} CASCADE`)
  await server.release()
}
