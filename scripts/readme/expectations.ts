import type { Fence } from './extract.js'

// Begins each line that an annotated console.log prints; no document prints it by itself.
const mark = '\u001e'

/**
 * A `console.log(...) // => text`: what that line must print the first time it runs. A comment alone on its line speaks of
 * what is printed from elsewhere, by a listener; such comments must come true in their order.
 */
interface Expectation {
  readonly line: number
  readonly text: string
  readonly alone: boolean
}

/** Reads the `// =>` comments of a fence. */
function expectationsOf({ code }: Fence): Expectation[] {
  return code.split('\n').flatMap((text, index) => {
    const [, code, expected] = /^(.*)\/\/ => (.*)$/.exec(text) ?? []
    return expected === undefined ? [] : { line: index + 1, text: expected.trim(), alone: code?.trim() === '' }
  })
}

/** The code of a fence, changed only so that each annotated `console.log` says from which line it speaks. */
export function instrumented(fence: Fence): string {
  const lines = fence.code.split('\n')
  for (const { line, alone } of expectationsOf(fence)) {
    if (alone) continue
    lines[line - 1] = lines[line - 1]?.replace('console.log(', `console.log("\\u001e${line}", `) ?? ''
  }
  return lines.join('\n')
}

/** Compares what an instrumented fence printed with its comments. */
export function unmetExpectations(fence: Fence, stdout: string): string[] {
  const printed = new Map<number, string>()
  const others: string[] = []
  for (const text of stdout.split('\n')) {
    const [, line, rest = ''] = new RegExp(`^${mark}(\\d+) (.*)$`).exec(text) ?? []
    if (line === undefined) others.push(text)
    else if (!printed.has(Number(line))) printed.set(Number(line), rest)
  }
  return expectationsOf(fence).flatMap(({ line, text, alone }) => {
    const says = `${fence.file}:${line} says // => ${text}`
    if (!alone) {
      const actual = printed.get(line)
      return actual === text
        ? []
        : `${says}, but ${actual === undefined ? 'that line printed nothing' : `it printed ${actual}`}`
    }
    const found = others.indexOf(text)
    if (found === -1) return `${says}, but no such line was printed then`
    others.splice(0, found + 1)
    return []
  })
}
