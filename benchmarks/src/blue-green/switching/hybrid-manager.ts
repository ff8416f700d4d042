import { ClusterManager, ReClusterManager } from 'discord-hybrid-sharding'
import { runManager } from './run-manager.js'

// The manager of discord-hybrid-sharding: two clusters of one shard each.

const [port = '', file = '', restartMode, ending = ''] = process.argv.slice(2)
const manager = new ClusterManager(file, {
  totalShards: 2,
  totalClusters: 2,
  mode: 'process',
  token: 'token',
  shardArgs: [port, ending],
})
const recluster = new ReClusterManager()
manager.extend(recluster)
// How long it waits between two clusters is for the limits of Discord, and of no matter here.
const delay = 100
const timeout = 10_000
await runManager(
  async () => void (await manager.spawn({ delay, timeout })),
  () => recluster.start({ restartMode: restartMode as 'rolling', delay, timeout }),
)
