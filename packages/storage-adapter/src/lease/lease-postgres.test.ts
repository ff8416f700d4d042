import { afterAll } from 'vitest'
import { sharedBy } from '../test-support/lease-story.js'
import { describePostgres, newSchema, postgresUrl, removeSchemas } from '../test-support/postgres-describe.js'

describePostgres('processes that share a PostgreSQL database', () => {
  afterAll(removeSchemas)
  sharedBy('postgres', async () => ({ address: `${postgresUrl} ${newSchema()}`, remove: async () => undefined }))
})
