// A reader of the text format 0.0.4, written from its specification and not from our writer.
// https://prometheus.io/docs/instrumenting/exposition_formats/

export interface ReadSample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface ReadFamily {
  readonly name: string
  readonly help: string
  readonly type: string
  readonly samples: readonly ReadSample[]
}

/** @throws Error at the first line that the specification does not allow */
export function parseMetrics(text: string): ReadFamily[] {
  if (text !== '' && !text.endsWith('\n')) throw new Error('the last line has no line feed')
  const families: { name: string; help: string; type: string; samples: ReadSample[] }[] = []
  const series = new Set<string>()
  for (const line of text.split('\n').slice(0, -1)) {
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/s.exec(line)
    if (comment !== null) {
      const [, word, name = '', rest = ''] = comment
      if (word === 'HELP') {
        if (families.some((family) => family.name === name)) throw new Error(`HELP of ${name} twice`)
        families.push({ name, help: unescape(rest, '\\n'), type: '', samples: [] })
        continue
      }
      const family = families.at(-1)
      if (family?.name !== name || family.type !== '') throw new Error(`TYPE of ${name} stands alone`)
      if (!['counter', 'gauge', 'histogram'].includes(rest)) throw new Error(`no such type: ${rest}`)
      family.type = rest
      continue
    }
    const sample = readSample(line)
    const family = families.at(-1)
    if (family === undefined || !belongs(sample.name, family)) throw new Error(`${sample.name} has no family`)
    const key = JSON.stringify([sample.name, Object.entries(sample.labels).sort()])
    if (series.has(key)) throw new Error(`twice: ${key}`)
    series.add(key)
    family.samples.push(sample)
  }
  for (const family of families) if (family.type === 'histogram') checkHistogram(family.samples)
  return families
}

function belongs(name: string, family: { name: string; type: string }): boolean {
  if (family.type !== 'histogram') return name === family.name
  return [`${family.name}_bucket`, `${family.name}_sum`, `${family.name}_count`].includes(name)
}

function readSample(line: string): ReadSample {
  const [, name = '', rest = ''] = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(.*)$/s.exec(line) ?? []
  if (name === '') throw new Error(`no sample: ${line}`)
  const labels: Record<string, string> = {}
  let at = 0
  if (rest[0] === '{') {
    at = 1
    while (rest[at] !== '}') {
      const label = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\["\\n])*)",?/s.exec(rest.slice(at))
      if (label === null) throw new Error(`no label at ${at} of ${line}`)
      const [all, key = '', value = ''] = label
      if (Object.hasOwn(labels, key)) throw new Error(`label ${key} twice in ${line}`)
      Object.defineProperty(labels, key, { value: unescape(value, '"\\n'), enumerable: true })
      at += all.length
    }
    at++
  }
  const [, word = ''] = /^ +(\S+)$/.exec(rest.slice(at)) ?? []
  return { name, labels, value: readNumber(word, line) }
}

function readNumber(word: string, line: string): number {
  if (word === '+Inf') return Infinity
  if (word === '-Inf') return -Infinity
  if (word === 'NaN') return NaN
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(word)) throw new Error(`no number: ${line}`)
  return Number(word)
}

function unescape(text: string, allowed: string): string {
  return text.replace(/\\(.)/gs, (_, letter: string) => {
    if (!allowed.includes(letter)) throw new Error(`no escape: \\${letter}`)
    return letter === 'n' ? '\n' : letter
  })
}

/** Buckets ascend and contain one another, the last is +Inf and equals the count. */
function checkHistogram(samples: readonly ReadSample[]): void {
  const groups = new Map<string, { le: number[]; counts: number[]; count: number; sums: number }>()
  for (const { name, labels, value } of samples) {
    const { le, ...others } = labels
    const key = JSON.stringify(Object.entries(others).sort())
    const group = groups.get(key) ?? { le: [], counts: [], count: NaN, sums: 0 }
    groups.set(key, group)
    if (name.endsWith('_sum')) group.sums++
    else if (name.endsWith('_count')) group.count = value
    else {
      group.le.push(readNumber(le ?? '', name))
      group.counts.push(value)
    }
  }
  for (const [key, { le, counts, count, sums }] of groups) {
    const ascends = (all: number[], strictly: boolean): boolean =>
      all.every((each, at) => at === 0 || (strictly ? each > (all[at - 1] ?? NaN) : each >= (all[at - 1] ?? NaN)))
    if (!ascends(le, true) || !ascends(counts, false)) throw new Error(`buckets of ${key} do not ascend`)
    if (le.at(-1) !== Infinity || counts.at(-1) !== count || sums !== 1) throw new Error(`${key} is incomplete`)
  }
}
