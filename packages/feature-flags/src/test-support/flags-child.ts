import { storageFromUrl } from '@evenkeel/storage-adapter/url'
import { createHash } from 'node:crypto'
import { FeatureFlags } from '../feature-flags.js'
import type { ProcessOrder, ProcessReply, ProcessView } from './flags-process.js'
import { snowflakes } from './snowflakes.js'

/** One of the processes of a bot that share a store. It does what it is told by its parent, and shows how it answers. */
const [url = ''] = process.argv.slice(2)

const storage = storageFromUrl(url)
const flags = new FeatureFlags({
  flags: {
    search: { percentage: 50 },
    suggestions: { default: true, requires: ['search'] },
    theme: {
      default: 'none',
      variants: ['none', 'plain', 'cards'],
      weights: { plain: 60, cards: 40 },
      requires: ['search'],
    },
    digest: { percentage: 20, by: 'user' },
  },
  store: storage.collection('evenkeel'),
  environment: {},
  timeoutMs: 1_500,
  checkIntervalMs: 300,
})
const ids = snowflakes(1_000)

function say(reply: ProcessReply): void {
  process.send?.(reply)
}

/** What is answered to 1,000 guilds and users, and what an operator sees. */
function look(): ProcessView {
  const answers = createHash('sha256')
  for (const id of ids) {
    const context = { guildId: id, userId: id }
    const scope = flags.for(context)
    const on = (['search', 'suggestions', 'digest'] as const).map((name) => scope.isEnabled(name))
    answers.update([...on, scope.variant('theme')].join())
  }
  const status = flags.names.map((name) => flags.status(name))
  return {
    epoch: flags.epoch,
    feed: flags.feed,
    answers: answers.digest('hex'),
    flags: Object.fromEntries(
      status.map(({ name, state, percentage, guildOverrides, share }) => [
        name,
        { state, percentage, guildOverrides, sequence: share?.sequence },
      ]),
    ),
  }
}

/** Makes changes of every kind, one after another, and tells of each one that is stored, until it is killed. */
async function churn(name: string): Promise<void> {
  for (let n = 1; ; n++) {
    const reason = { why: `change ${n}`, by: name }
    await flags.override('theme', { guildId: `${name}:${n}` }, 'cards', reason)
    await flags.setPercentage('digest', n % 100, reason)
    say({ stored: n })
  }
}

async function obey({ order, what, parameters }: ProcessOrder): Promise<void> {
  try {
    if (what === 'look') return say({ order, view: look() })
    if (what === 'churn') return void churn(String(parameters[0]))
    if (what === 'stop') {
      await flags.stop()
      await storage.stop()
      return process.disconnect()
    }
    const change = flags[what].bind(flags) as (...given: readonly unknown[]) => Promise<unknown>
    say({ order, result: await change(...parameters) })
  } catch (error) {
    say({ order, code: String((error as { code?: unknown }).code ?? error) })
  }
}

process.on('message', (order: ProcessOrder) => void obey(order))
await flags.start()
say({ stored: 0 })
