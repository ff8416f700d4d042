import { setTimeout as sleep } from 'node:timers/promises'
import { DegradationManager } from '@evenkeel/degradation-manager'

// How full the bot's hands are, 0 to 1.
let queue = 0

const modes = new DegradationManager({
  features: { remind: { priority: 'critical' }, translate: { priority: 'optional' } },
  pressures: { queue: () => queue / 100 },
  rules: [{ pressure: 'queue', enter: 0.9, leave: 0.5, mode: 'DEGRADED' }],
  sampleMs: 10,
  minDwellMs: 50,
})
modes.on('change', ({ message }) => console.log(message))
await modes.start()
const isFull = () => modes.mode === 'FULL'

const remind = modes.guard('remind', async (text: string) => `I will remind you of ${text}`)
const translate = modes.guard('translate', async (text: string) => `${text}, matey`, { fallback: (text) => text })
console.log(await translate('ahoy')) // => ahoy, matey

queue = 95
while (isFull()) await sleep(5)
console.log(await remind('tea')) // => I will remind you of tea
console.log(await translate('ahoy')) // => ahoy
console.log((await translate.outcome('ahoy')).degraded) // => true

queue = 10
while (!isFull()) await sleep(5)
console.log(await translate('ahoy')) // => ahoy, matey
await modes.stop()
