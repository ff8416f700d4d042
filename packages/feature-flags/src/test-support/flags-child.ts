import { storageFromUrl } from '@evenkeel/storage-adapter/url'
import { FailoverStorage } from '@evenkeel/storage-adapter'
import { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'
import { FaultyStorage } from '@evenkeel/testing'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { FeatureFlags } from '../feature-flags.js'
import type { ProcessOrder, ProcessReply, ProcessView } from './flags-process.js'
import { snowflakes } from './snowflakes.js'

/** One of the processes of a bot that share a store. It does what it is told by its parent, and shows how it answers. */
const [url = ''] = process.argv.slice(2)

const { storage, way } = open(url)
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
/** What was told of the feed. */
const feeds: string[] = []
flags.on('change', (change) => {
  if (change.aspect === 'feed') feeds.push(change.to)
})

/**
 * The storage of a URL. `failover:/directory?writers=one` is a SQLite database with a copy in files, where the way to the
 * database can be cut; with `&cut` it is from the beginning.
 */
function open(url: string) {
  if (!url.startsWith('failover:')) return { storage: storageFromUrl(url), way: undefined }
  const { pathname: directory, searchParams } = new URL(url)
  const way = new FaultyStorage(new SqliteStorage({ path: join(directory, 'bot.db') }))
  if (searchParams.has('cut')) way.down()
  const writers = searchParams.get('writers') === 'many' ? 'many' : 'one'
  const path = join(directory, 'failover')
  const soon = { timeoutMs: 500, probeIntervalMs: 100, steadyProbes: 1, cooldownMs: 300 }
  return { storage: new FailoverStorage({ primary: way.storage, path, writers, ...soon }), way }
}

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
    if (what === 'cut' || what === 'mend') {
      if (what === 'cut') way?.down()
      else way?.up()
      return say({ order, result: undefined })
    }
    if (what === 'lag') {
      return say({ order, result: storage instanceof FailoverStorage ? storage.state.mirror.lagMs : undefined })
    }
    if (what === 'told') return say({ order, result: feeds })
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
