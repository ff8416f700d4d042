import { expect, it } from 'vitest'
import { rolloutOf } from './rollout.js'

const ready = { observedGeneration: 3, replicas: 2, updatedReplicas: 2, readyReplicas: 2, availableReplicas: 2 }
const deadline = { type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded', message: 'no image' }
const quota = { type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message: 'exceeded quota' }

it.each([
  ['all pods serve', {}, true, '2 of 2 pods are ready'],
  ['the status is about an older spec', { observedGeneration: 2 }, false, 'the cluster has not seen it yet'],
  ['pods are not made', { updatedReplicas: 1 }, false, '1 of 2 pods are made'],
  ['none is made, and the API leaves zeros out', { updatedReplicas: undefined }, false, '0 of 2 pods are made'],
  [
    'pods cannot be made',
    { updatedReplicas: 1, conditions: [quota] },
    false,
    '1 of 2 pods are made, as exceeded quota',
  ],
  ['pods of before are there', { replicas: 3 }, false, '1 pods of an older revision are still there'],
  ['pods are not ready', { readyReplicas: 1 }, false, '1 of 2 pods are ready'],
  ['pods are not ready for long enough', { availableReplicas: 1 }, false, '1 of 2 pods are ready for long enough'],
])('when %s, a Deployment is as it is', (_, status, isReady, why) => {
  const metadata = { resourceVersion: '1', generation: 3 }
  const object = { metadata, spec: { replicas: 2 }, status: { ...ready, ...status } }
  expect(rolloutOf(object)).toEqual({ isReady, hasFailed: false, why })
})

it('has failed when the cluster has given up, but not by what is said of an older spec', () => {
  const metadata = { resourceVersion: '1', generation: 3 }
  const object = { metadata, spec: { replicas: 2 }, status: { ...ready, conditions: [deadline] } }
  expect(rolloutOf(object)).toMatchObject({ hasFailed: true, why: 'the cluster has given up: no image' })
  expect(rolloutOf({ ...object, metadata: { ...metadata, generation: 4 } })).toMatchObject({ hasFailed: false })
})

it('wants one pod unless told, and is not ready when it wants none', () => {
  const metadata = { resourceVersion: '1' }
  expect(rolloutOf({ metadata, spec: {}, status: {} })).toMatchObject({ why: '0 of 1 pods are made' })
  expect(rolloutOf({ metadata, spec: { replicas: 0 }, status: {} })).toMatchObject({ isReady: false })
})
