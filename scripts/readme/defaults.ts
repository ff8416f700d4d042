import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { inspect } from 'node:util'
import { runInNewContext } from 'node:vm'
import { guidesOf, root, type Package } from '../workspace.js'

/** A table of options in a README, announced by `<!-- defaults: nameOfTheExportedObject -->`. */
export interface DefaultsTable {
  readonly name: string
  /** The line of the comment, from 1. */
  readonly line: number
  /** By option: the literal in the default cell, or `undefined` when the cell is prose such as `required`. */
  readonly rows: ReadonlyMap<string, { readonly line: number; readonly literal: string | undefined }>
}

function cellsOf(row: string): string[] {
  const cells = row.split(/(?<!\\)\|/).slice(1, -1)
  return cells.map((cell) => cell.trim().replaceAll('\\|', '|'))
}

/** Finds the options tables of a README: option, unit, default, meaning. */
export function defaultsTablesOf(markdown: string): DefaultsTable[] {
  const lines = markdown.split('\n')
  return lines.flatMap((text, index) => {
    const name = /^<!-- defaults: (\w+) -->$/.exec(text)?.[1]
    if (name === undefined) return []
    const rows: [string, { line: number; literal: string | undefined }][] = []
    const header = lines.findIndex((line, at) => at > index && line.startsWith('|'))
    const column = cellsOf(lines[header] ?? '').findIndex((cell) => /^default$/i.test(cell))
    for (let at = header + 2; lines[at]?.startsWith('|'); at++) {
      const cells = cellsOf(lines[at] ?? '')
      const option = /^`([^`]+)`/.exec(cells[0] ?? '')?.[1] ?? cells[0] ?? ''
      rows.push([option, { line: at + 1, literal: /^`([^`]+)`$/.exec(cells[column] ?? '')?.[1] }])
    }
    return { name, line: index + 1, rows: new Map(rows) }
  })
}

function valueOf(literal: string): string {
  try {
    return inspect(runInNewContext(`(${literal})`))
  } catch {
    return literal
  }
}

/** Compares one table with the object that it documents. */
export function defaultsFaults(
  file: string,
  table: DefaultsTable,
  defaults: Readonly<Record<string, unknown>>,
): string[] {
  const faults: string[] = []
  for (const [option, { line, literal }] of table.rows) {
    const where = `${file}:${line} \`${option}\``
    if (!Object.hasOwn(defaults, option)) {
      if (literal !== undefined) faults.push(`${where} has no default in ${table.name}, but the table says ${literal}`)
    } else if (literal === undefined || valueOf(literal) !== inspect(defaults[option])) {
      faults.push(`${where} defaults to ${inspect(defaults[option])}, but the table says ${literal ?? 'no literal'}`)
    }
  }
  for (const option of Object.keys(defaults)) {
    if (!table.rows.has(option)) faults.push(`${file}:${table.line} has no row for \`${option}\` of ${table.name}`)
  }
  return faults
}

/** Compares the options tables of a package's README and guides with what the package exports. */
export async function checkDefaults(pkg: Package): Promise<string[]> {
  const { folder, entries } = pkg
  const readme = `${folder}/README.md`
  const tables = [readme, ...guidesOf(pkg)].flatMap((file) =>
    defaultsTablesOf(readFileSync(join(root, file), 'utf8')).map((table) => ({ file, ...table })),
  )
  const modules = await Promise.all(entries.map(({ source }) => import(pathToFileURL(source).href) as Promise<object>))
  const exported = Object.assign({}, ...modules) as Record<string, Record<string, unknown>>
  const announced = new Set(tables.map(({ name }) => name))
  const hidden = Object.keys(exported).filter((name) => name.endsWith('Defaults') && !announced.has(name))
  const faults = hidden.map((name) => `${readme} has no table after <!-- defaults: ${name} -->`)
  const tableFaults = tables.flatMap((table) => {
    const { file } = table
    const defaults = exported[table.name]
    if (defaults === undefined) return `${file}:${table.line} names ${table.name}, which the package does not export`
    if (table.rows.size === 0) return `${file}:${table.line} announces a table of options, but none follows`
    return defaultsFaults(file, table, defaults)
  })
  return [...faults, ...tableFaults]
}
