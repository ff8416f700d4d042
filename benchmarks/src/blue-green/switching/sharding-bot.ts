import { finishOnSigterm } from './finish-on-sigterm.js'
import { Session } from './session.js'

// A bot under the ShardingManager of discord.js. To load discord.js takes a quarter of a second, so this says what its
// ShardClientUtil would say to the manager.

const [port, ending] = process.argv.slice(2)
const client = new Session(Number(port), [Number(process.env['SHARDS'])])
client.on('event', (event) => void client.handle(event))
void client.ready.then(() => process.send?.({ _ready: true }))
if (ending === 'finishes') finishOnSigterm(client)
