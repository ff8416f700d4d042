import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeBatch, encodeBatch } from './batch-text.js'
import type { JournaledBatch } from './local-journal.js'
import { toJson } from '../values.js'

const json = fc.oneof(
  fc.jsonValue().map(toJson),
  fc.constant('{"a":1,"values":["]}"]}'),
  fc.string().map((text) => toJson(text)),
)
const name = fc.oneof(fc.string(), fc.constant(',"values":['), fc.constant('\\",\\"values\\":['))
const common = {
  ...{ collection: name, key: name, version: name },
  base: fc.option(name),
  isDoubtful: fc.boolean(),
  baseExpiresAt: fc.option(fc.nat(), { nil: undefined }),
  baseJson: fc.option(json, { nil: undefined }),
}
const change = fc.oneof(
  fc.record({ type: fc.constant('set' as const), ...common, json, expiresAt: fc.option(fc.nat(), { nil: undefined }) }),
  fc.record({ type: fc.constant('delete' as const), ...common }),
)
const batch: fc.Arbitrary<JournaledBatch> = fc.record({
  ...{ sequence: fc.nat(), id: fc.uuid(), at: fc.nat() },
  changes: fc.array(change, { maxLength: 5 }),
})

test('a batch is read as it was written', () => {
  fc.assert(
    fc.property(batch, (given) => {
      expect(decodeBatch(encodeBatch(given))).toEqual(given)
    }),
  )
})

test('its text is JSON, and shows the values as they are', () => {
  fc.assert(
    fc.property(batch, (given) => {
      const { values } = JSON.parse(encodeBatch(given)) as { values: unknown[] }
      const kept = given.changes.flatMap((each) => [each.type === 'set' ? each.json : undefined, each.baseJson])
      expect(values).toEqual(kept.filter((text) => text !== undefined).map((text): unknown => JSON.parse(text)))
    }),
  )
})
