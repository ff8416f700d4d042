import type { DeleteMutation, Mutation, PutMutation } from '../backend.js'
import { NO_VERSION } from './local-journal.js'

/** A change of one record. */
export type RecordMutation = PutMutation | DeleteMutation

/** Whether it changes one record. */
export function isRecordMutation(mutation: Mutation): mutation is RecordMutation {
  return mutation.type === 'put' || mutation.type === 'delete'
}

/** The same change, whatever is there. */
export function unconditional(mutation: Mutation): Mutation {
  return isRecordMutation(mutation) ? { ...mutation, expected: undefined } : mutation
}

/** Removes a record. */
export function removal(collection: string, key: string): RecordMutation {
  return { type: 'delete', collection, key, version: NO_VERSION, expected: undefined }
}
