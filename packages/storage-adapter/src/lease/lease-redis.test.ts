import { sharedBy } from '../test-support/lease-story.js'
import { describeRedis, freshPrefix, redisUrl } from '../test-support/redis-describe.js'

describeRedis('processes that share a Redis', () => {
  sharedBy('redis', async () => ({ address: `${redisUrl} ${freshPrefix()}`, remove: async () => undefined }))
})
