import { ShardingManager } from 'discord.js'
import { runManager } from './run-manager.js'

// The ShardingManager of discord.js, with two shards.

const [port = '', file = '', respawnDelay, ending = ''] = process.argv.slice(2)
const manager = new ShardingManager(file, { totalShards: 2, token: 'token', shardArgs: [port, ending] })
// How long it waits between two shards is for the limits of Discord, and of no matter here.
await runManager(
  async () => void (await manager.spawn({ delay: 100 })),
  () => manager.respawnAll({ shardDelay: 100, respawnDelay: Number(respawnDelay) }),
)
