import { alerts } from './alerts.js'
import { alone } from './flags/alone.js'
import { judge } from './judge.js'
import { failover } from './storage/failover.js'
import { files } from './storage/files.js'
import { postgres } from './storage/postgres.js'
import { redis } from './storage/redis.js'
import { sqlite } from './storage/sqlite.js'

const all = {
  flags: alone('isEnabled'),
  'flags-scoped': alone('scoped'),
  'flags-allocation': alone('allocation'),
  'flags-openfeature': alone('openFeature'),
  'flags-reload': alone('reload'),
  'flags-package': alone('packaged'),
  'flags-propagation': alone('propagation'),
  'health-record': alone('record', 'health/program'),
  'health-scrape': alone('scrape', 'health/program'),
  'health-request': alone('request', 'health/program'),
  'health-live': alone('live', 'health/program'),
  'health-standing': alone('standing', 'health/program'),
  'health-package': alone('packaged', 'health/program'),
  guard: alone('guarded', 'yielding/program'),
  'guard-failing': alone('failing', 'yielding/program'),
  'guard-idle': alone('idle', 'yielding/program'),
  'guard-allows': alone('asked', 'yielding/program'),
  'guard-overload': alone('overload', 'yielding/program'),
  'guard-package': alone('packaged', 'yielding/program'),
  'blue-green-routing': alone('routing', 'blue-green/program'),
  'blue-green-handle': alone('handling', 'blue-green/program'),
  'blue-green-rollback': alone('rollback', 'blue-green/program'),
  'blue-green-journal': alone('journal', 'blue-green/program'),
  'blue-green-resume': alone('resume', 'blue-green/program'),
  'blue-green-wire': alone('wire', 'blue-green/program'),
  'blue-green-switching': alone('switching', 'blue-green/program'),
  'blue-green-package': alone('packaged', 'blue-green/program'),
  alerts,
  judge,
  files,
  sqlite,
  postgres,
  redis,
  failover,
}

const asked = process.argv.slice(2).filter((name) => name !== '--')
const unknown = asked.filter((name) => !Object.hasOwn(all, name))
if (unknown.length > 0) {
  console.error(`No benchmark is called ${unknown.join(', ')}; there are ${Object.keys(all).join(', ')}`)
  process.exit(2)
}

console.log(
  `Node ${process.version}. CPU time of the process (quartiles in brackets) and wall time, one operation each;`,
)
console.log('the ratios are those to the first line, the floor.')
// One at a time: they would measure each other otherwise.
for (const [name, run] of Object.entries(all)) if (asked.length === 0 || asked.includes(name)) await run()
