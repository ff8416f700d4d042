import { ClusterClient, getInfo } from 'discord-hybrid-sharding'
import { finishOnSigterm } from './finish-on-sigterm.js'
import { Session } from './session.js'

// A bot of discord-hybrid-sharding, as its documentation has it: it listens to events when its cluster is `ready`, which is when
// the manager takes it out of maintenance.

const [port, ending] = process.argv.slice(2)
const client = new Session(Number(port), getInfo().SHARD_LIST)
const cluster = new ClusterClient(client)
cluster.on('ready', () => void client.on('event', (event) => void client.handle(event)))
void client.ready.then(() => cluster.triggerReady())
if (ending === 'finishes') finishOnSigterm(client)
