import { errorRate, Judge } from '@evenkeel/canary-judge'
import { measure, print } from './measure.js'

/** Taking in what happened in an interval, and judging. */
export async function judge(): Promise<void> {
  const subject = new Judge({ metrics: { errors: errorRate() } })
  const sample = (i: number) => {
    return { green: { requests: 200, errors: i % 5 }, blue: { requests: 1_800, errors: 16 + (i % 5) } }
  }
  let sum = 0
  print(
    'canary-judge: one interval of errors',
    await measure(
      [
        {
          name: 'floor: the logarithms that it takes',
          run(count) {
            for (let i = 0; i < count; i++) {
              const { green, blue } = sample(i)
              const share = green.requests / (green.requests + blue.requests)
              for (let ratio = 1; ratio < 8; ratio++) sum += Math.log(share * ratio + 1 - share)
            }
          },
        },
        {
          name: 'evenkeel observe',
          run(count) {
            let state = subject.start()
            for (let i = 0; i < count; i++) state = subject.observe(state, 'errors', sample(i))
            sum += state.errors.evidence.green
          },
        },
        {
          name: 'evenkeel observe and judge',
          share: 0.1,
          run(count) {
            let state = subject.start()
            for (let i = 0; i < count / 10; i++) {
              state = subject.observe(state, 'errors', sample(i))
              sum += subject.judge(state).evidence
            }
          },
        },
      ],
      200_000,
    ),
  )
  if (Number.isNaN(sum)) throw new Error('The sum keeps the work from being left out')
}
