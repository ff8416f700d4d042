/** A fenced block of code in a README, or in the TSDoc of a source file. */
export interface Fence {
  /** Relative to the root. */
  readonly file: string
  /** The line of the opening fence, from 1. */
  readonly line: number
  readonly language: 'ts' | 'js'
  /** The code at the lines and columns that it has in its document, so that a compiler reports the reader's places. */
  readonly code: string
  /** From `<!-- run: ... -->` before a TypeScript fence; it holds for its CommonJS twin too. */
  readonly marker: string | undefined
}

const languages: Readonly<Record<string, Fence['language']>> = {
  ts: 'ts',
  typescript: 'ts',
  js: 'js',
  javascript: 'js',
}

/** Finds the TypeScript and JavaScript fences of a Markdown text. */
export function fencesOf(file: string, markdown: string): Fence[] {
  const lines = markdown.split('\n')
  const fences: Fence[] = []
  let announced: string | undefined
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index] ?? ''
    announced = /^\s*<!-- run: (.+) -->$/.exec(line)?.[1] ?? announced
    const [, ticks, word = ''] = /^\s*(`{3,})(\w*)/.exec(line) ?? []
    if (ticks === undefined) continue
    const first = index + 1
    do index++
    while (index < lines.length && lines[index]?.trim() !== ticks)
    const language = languages[word]
    if (language === undefined) continue
    const code = '\n'.repeat(first) + lines.slice(first, index).join('\n') + '\n'
    fences.push({ file, line: first, language, code, marker: language === 'ts' ? announced : fences.at(-1)?.marker })
    announced = undefined
  }
  return fences
}

/** Blanks whatever is not TSDoc, keeping every place, so that the comments of a source file read as Markdown. */
export function documentationOf(source: string): string {
  let inside = false
  const lines = source.split('\n').map((line) => {
    if (line.trim().startsWith('/**')) inside = true
    const text = inside ? line.replace(/^\s*\/?\*{1,2}/, (border) => ' '.repeat(border.length)) : ''
    if (line.includes('*/')) inside = false
    return text.replace('*/', '')
  })
  return lines.join('\n')
}

/** The TypeScript fences that lack the CommonJS twin which a reader without ES modules needs. */
export function fencesWithoutTwin(fences: readonly Fence[]): Fence[] {
  return fences.filter(({ language }, index) => language === 'ts' && fences[index + 1]?.language !== 'js')
}
