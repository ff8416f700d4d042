import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { EventEmitter } from 'node:events'
import { watch } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FakeClock } from '@evenkeel/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FlagDocumentError } from '../document-error.js'
import { flagFile, flagFileDefaults, type FlagFileOptions } from '../file.js'
import { FlagFile } from './flag-file.js'
import { checkFlagFile } from './flag-file-options.js'
import type { WatchDirectory } from './path-watch.js'
import { RecordingFeed, until } from '../test-support/recording-feed.js'

const good = '{"flags": {"a": true}}'
const better = '{"flags": {"a": false}}'

let directory: string
let clock: FakeClock
let feed: RecordingFeed
const started: FlagFile[] = []

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'evenkeel-flags-'))
  clock = new FakeClock()
  feed = new RecordingFeed()
})

afterEach(async () => {
  for (const file of started.splice(0)) await file.stop()
  await rm(directory, { recursive: true })
})

const at = (name: string): string => join(directory, name)

function make(name: string, options: FlagFileOptions = {}, watchDirectory: WatchDirectory = watch): FlagFile {
  const file = new FlagFile(checkFlagFile(at(name), { clock, ...options }), watchDirectory)
  started.push(file)
  return file
}

async function start(
  name: string,
  options: FlagFileOptions = {},
  watchDirectory: WatchDirectory = watch,
): Promise<FlagFile> {
  const file = make(name, options, watchDirectory)
  await file.start(feed)
  return file
}

/** The poll waits always; a second timer says that a reading is not to be trusted yet. */
const isInDoubt = (): boolean => clock.pending === 2

describe('flagFile', () => {
  it.each([
    ['flags.toml', {}, 'flagFile reads .json, .yaml and .yml, not "flags.toml"'],
    ['', {}, "flagFile needs the path of a file, not ''"],
    ['a\0.json', {}, "flagFile needs the path of a file, not 'a\\x00.json'"],
    ['a.json', { pollMS: 5 }, 'flagFile has no option "pollMS"; did you mean "pollMs"?'],
    ['a.json', { pollMs: 0 }, 'pollMs must be a number of milliseconds above 0, not 0'],
    ['a.json', { maxBytes: 1.5 }, 'maxBytes must be a whole number of bytes from 1, not 1.5'],
    ['a.json', null, 'flagFile takes its options as an object, not null'],
  ])('refuses %j with %j', (path, options, message) => {
    expect(() => flagFile(path, options as FlagFileOptions)).toThrow(message)
  })

  it('says what it does without options', () => {
    expect(flagFileDefaults).toEqual({ pollMs: 1_000, maxBytes: 10_000_000 })
    expect(flagFile('data/flags.yml').name).toBe('data/flags.yml')
  })

  it.each([
    ['flags.json', '\uFEFF{"flags": {"a": true}}'],
    ['flags.JSON', good],
    ['flags.yaml', '\uFEFFflags:\n  a: true\n'],
    ['flags.yml', good],
    ['[*] %_ é.json', good],
  ])('hands over the document of %s', async (name, text) => {
    await writeFile(at(name), text)
    await start(name)
    expect(feed.documents).toEqual([{ flags: { a: true } }])
  })

  it('may be stopped twice and started again', async () => {
    await writeFile(at('flags.json'), good)
    const file = await start('flags.json')
    await file.start(feed)
    await file.stop()
    await file.stop()
    expect(clock.pending).toBe(0)
    await writeFile(at('flags.json'), better)
    await file.start(feed)
    expect(feed.documents).toEqual([JSON.parse(good), JSON.parse(better)])
  })

  it('serves one set of flags', async () => {
    await writeFile(at('flags.json'), good)
    const file = await start('flags.json')
    await expect(file.start(new RecordingFeed())).rejects.toThrow(
      /serves another FeatureFlags already; make one for each/,
    )
  })

  it('hands over nothing that was being read when it was stopped', async () => {
    await writeFile(at('flags.json'), good)
    const file = make('flags.json')
    const starting = file.start(feed)
    await file.stop()
    await expect(starting).rejects.toThrow('it was stopped before it was read')
    await file.start(feed)
    expect(feed.documents).toHaveLength(1)
    await writeFile(at('flags.json'), better)
    await file.stop()
    const handedOver = feed.documents.length
    // Enough turns for every reading that was under way to end.
    for (let turn = 0; turn < 1_000; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(feed.documents).toHaveLength(handedOver)
  })
})

describe('flagFile that cannot start', () => {
  it.each<[string, (path: string) => Promise<unknown>, string]>([
    ['an absent file', async () => undefined, 'there is no such file'],
    [
      'a missing directory',
      (path) => rm(join(path, '..'), { recursive: true }).then(() => mkdir(join(path, '..'))),
      'there is no such file',
    ],
    ['a directory', (path) => mkdir(path), 'it is no file, but a directory'],
    ['a device', (path) => symlink('/dev/zero', path), 'it is no file, but a device or pipe'],
    ['links in a circle', (path) => symlink(path, path), 'its symbolic links go round in a circle'],
    ['a link to nothing', (path) => symlink('gone', path), 'there is no such file'],
    ['an empty file', (path) => writeFile(path, ''), 'the document is empty'],
    ['half a document', (path) => writeFile(path, '{"flags": {'), 'the text ends before the "{" of line 1 is closed'],
    ['UTF-16', (path) => writeFile(path, `\uFEFF${good}`, 'utf16le'), 'it is not UTF-8; save it as UTF-8'],
    ['too much', (path) => writeFile(path, ' '.repeat(10_000_001)), 'it is larger than 10000000 bytes (maxBytes)'],
  ])('rejects for %s, and leaves nothing behind', async (_, make_, reason) => {
    const path = at('flags.json')
    await make_(path)
    const { watchDirectory, open } = countWatchers()
    const file = make('flags.json', {}, watchDirectory)
    const error: unknown = await file.start(feed).catch((error: unknown) => error)
    expect(error).toBeInstanceOf(FlagDocumentError)
    expect(error).toMatchObject({ reason, source: path })
    expect((error as Error).message.startsWith(path)).toBe(true)
    expect([clock.pending, open(), feed.documents, feed.problems]).toEqual([0, 0, [], []])
  })

  it('keeps what the file system said as the cause', async () => {
    await expect(make('flags.json').start(feed)).rejects.toMatchObject({
      cause: expect.objectContaining({ code: 'ENOENT' }) as Error,
    })
  })

  it('rejects with the line of what the flags refuse', async () => {
    await writeFile(at('flags.yaml'), 'flags:\n  a:\n    percentage: 150\n')
    const path = ['flags', 'a', 'percentage']
    feed.judge = () => {
      throw new FlagDocumentError('`percentage` must be from 0 to 100, not 150', { path })
    }
    await expect(make('flags.yaml').start(feed)).rejects.toMatchObject({
      message: `${at('flags.yaml')}:3:5: \`percentage\` must be from 0 to 100, not 150`,
      path,
    })
  })

  it('can be started once the file is there', async () => {
    const file = make('flags.json')
    await expect(file.start(feed)).rejects.toThrow('there is no such file')
    await writeFile(at('flags.json'), good)
    await file.start(feed)
    expect(feed.documents).toHaveLength(1)
  })
})

describe('flagFile of a document that cannot be used', () => {
  it('raises no alarm for what is whole a moment later', async () => {
    await writeFile(at('flags.json'), good)
    await start('flags.json')
    await writeFile(at('flags.json'), better.slice(0, 10))
    await until(isInDoubt)
    await clock.advance(99)
    await writeFile(at('flags.json'), better)
    await until(() => feed.documents.length === 2)
    await until(() => clock.pending === 1)
    await clock.advance(500)
    expect(feed.problems).toEqual([])
  })

  it('tells it once if it lasts, keeps the last good one, and tells it anew after a good one', async () => {
    await writeFile(at('flags.json'), good)
    await start('flags.json')
    for (const times of [1, 2]) {
      await writeFile(at('flags.json'), '{\n  "flags": [}')
      await until(isInDoubt)
      await clock.advance(100)
      await until(() => feed.problems.length === times)
      await writeFile(at('flags.json'), '{\n  "flags": [}')
      await clock.advance(5_000)
      expect(feed.problems).toHaveLength(times)
      expect(feed.problems.at(-1)).toMatchObject({
        source: at('flags.json'),
        place: { line: 2, column: 13 },
        retryable: false,
      })
      // The same good text as before: the flags must hear that all is well.
      await writeFile(at('flags.json'), good)
      await until(() => feed.documents.length === times + 1)
    }
    expect(feed.documents).toEqual([JSON.parse(good), JSON.parse(good), JSON.parse(good)])
  })

  it('tells each problem that is another one', async () => {
    await writeFile(at('flags.json'), good)
    await start('flags.json')
    const breakIt: (() => Promise<unknown>)[] = [
      () => writeFile(at('flags.json'), ''),
      () => writeFile(at('flags.json'), '[1,]'),
      () => rm(at('flags.json')),
      () => mkdir(at('flags.json')),
    ]
    for (const [n, each] of breakIt.entries()) {
      await each()
      await until(isInDoubt)
      await clock.advance(100)
      await until(() => feed.problems.length === n + 1)
    }
    expect(feed.problems.map(({ reason }) => reason)).toEqual([
      'the document is empty',
      'the comma before "]" must go',
      'there is no such file',
      'it is no file, but a directory',
    ])
    await rm(at('flags.json'), { recursive: true })
    await writeFile(at('flags.json'), better)
    await until(() => feed.documents.length === 2)
  })

  it.each(['[]', '{}', 'null', '{"flags": null}', '{"flags": {"a": 5}}'])(
    'keeps the flags when they refuse %s',
    async (text) => {
      await writeFile(at('flags.json'), good)
      await start('flags.json')
      feed.judge = (document) => {
        if (JSON.stringify(document) === JSON.stringify(JSON.parse(text)))
          throw new FlagDocumentError('no', { path: ['flags'] })
      }
      await writeFile(at('flags.json'), text)
      await until(isInDoubt)
      await clock.advance(100)
      await until(() => feed.problems.length === 1)
      expect(feed.problems[0]?.place?.line).toBe(1)
      expect(feed.documents).toEqual([JSON.parse(good)])
    },
  )

  it('waits for a YAML text that changes in place to stand still, since a part of it is valid', async () => {
    const whole = 'flags:\n  a: true\n  b: true\n'
    await writeFile(at('flags.yaml'), whole)
    await start('flags.yaml')
    await writeFile(at('flags.yaml'), 'flags:\n  a: true\n')
    await until(isInDoubt)
    await clock.advance(20)
    await writeFile(at('flags.yaml'), 'flags:\n  a: true\n  b: false\n')
    for (let stepsLeft = 10_000; feed.documents.length === 1 && stepsLeft > 0; stepsLeft--) await clock.advance(1)
    expect(feed.documents.slice(1)).toEqual([{ flags: { a: true, b: false } }])
  })

  it('applies a YAML text that was renamed into place at once', async () => {
    await writeFile(at('flags.yaml'), 'flags: {}')
    await start('flags.yaml')
    await writeFile(at('new'), 'flags: {a: true}')
    await rename(at('new'), at('flags.yaml'))
    await until(() => feed.documents.length === 2)
  })
})

describe('flagFile where the file system tells nothing', () => {
  const full: WatchDirectory = () => {
    throw Object.assign(new Error('no space left'), { code: 'ENOSPC' })
  }

  it.each([
    ['an in-place write', () => writeFile(at('flags.json'), better)],
    ['a rename', () => writeFile(at('new'), better).then(() => rename(at('new'), at('flags.json')))],
  ])('finds %s by polling', async (_, change) => {
    await writeFile(at('flags.json'), good)
    await start('flags.json', { pollMs: 50 }, full)
    await change()
    await clock.advance(49)
    expect(feed.documents).toHaveLength(1)
    await clock.advance(1)
    await until(() => feed.documents.length === 2)
  })

  it('goes on by polling when a watch breaks, and watches again', async () => {
    await writeFile(at('flags.json'), good)
    const watchers: EventEmitter[] = []
    await start('flags.json', {}, () => {
      const watcher = Object.assign(new EventEmitter(), { close: () => undefined })
      watchers.push(watcher)
      return watcher as unknown as ReturnType<WatchDirectory>
    })
    expect(watchers).toHaveLength(1)
    watchers[0]?.emit('error', new Error('gone'))
    await writeFile(at('flags.json'), better)
    await clock.advance(1_000)
    await until(() => feed.documents.length === 2 && watchers.length === 2)
  })
})

function countWatchers(): { watchDirectory: WatchDirectory; open: () => number } {
  let open = 0
  return {
    open: () => open,
    watchDirectory: (...parameters) => {
      const watcher = watch(...parameters)
      open++
      return {
        close: () => {
          open--
          watcher.close()
        },
        on: watcher.on.bind(watcher),
      }
    },
  }
}
