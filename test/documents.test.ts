import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { fromRoot, root } from '../scripts/workspace.js'

const notOurs = new Set(['node_modules', 'dist', 'coverage', 'api', '.git', 'pnpm-lock.yaml'])

function* textFiles(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (notOurs.has(entry.name)) continue
    if (entry.isDirectory()) yield* textFiles(path)
    else if (/\.(md|ts|json|ya?ml)$/.test(entry.name)) yield path
  }
}

const texts = [...textFiles(root)].map((path) => ({ file: fromRoot(path), text: readFileSync(path, 'utf8') }))

function linesMatching(pattern: RegExp): string[] {
  return texts.flatMap(({ file, text }) =>
    text.split('\n').flatMap((line, index) => (pattern.test(line) ? `${file}:${index + 1} ${line.trim()}` : [])),
  )
}

describe('every document and source', () => {
  it('names no folder of the machine that it was written on', () => {
    expect(linesMatching(/(^|[^\w.-])\/(work|workspace|builds|root|home\/\w+|Users\/\w+)\//)).toEqual([])
    expect(texts.filter(({ text }) => text.includes(root)).map(({ file }) => file)).toEqual([])
  })

  it('links only to files that exist', () => {
    const broken = texts
      .filter(({ file }) => file.endsWith('.md'))
      .flatMap(({ file, text }) =>
        [...text.matchAll(/\]\((?!\w+:|#)([^)#\s]+)/g)]
          .map(([, target = '']) => target)
          .filter((target) => !existsSync(join(root, file, '..', target)))
          .map((target) => `${file} links to ${target}`),
      )
    expect(broken).toEqual([])
  })
})
