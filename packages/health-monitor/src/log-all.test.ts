import { EventEmitter } from 'eventemitter3'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { logAll, type LoggablePart } from './log-all.js'

afterEach(() => {
  vi.restoreAllMocks()
})

/** A logger that needs its `this`, as pino does, and keeps every call's arguments. */
class Logger {
  readonly lines: [level: string, ...args: unknown[]][] = []
  info(...args: unknown[]): void {
    this.lines.push(['info', ...args])
  }
  warn(...args: unknown[]): void {
    this.lines.push(['warn', ...args])
  }
  error(...args: unknown[]): void {
    this.lines.push(['error', ...args])
  }
}

function part(): EventEmitter & LoggablePart {
  return new EventEmitter() as EventEmitter & LoggablePart
}

describe('logAll', () => {
  it('writes what every part says, one complete string a line, by severity', () => {
    const logger = new Logger()
    const [db, modes] = [part(), part()]
    logAll(logger, db, modes)
    db.emit('change', { severity: 'CRITICAL', message: 'db is down.', what: 'db' })
    modes.emit('change', { severity: 'WARNING', message: 'DEGRADED now: 100%s.' })
    db.emit('change', { severity: 'INFO', message: 'db is up.' })
    expect(logger.lines).toEqual([
      ['error', 'db is down.'],
      ['warn', 'DEGRADED now: 100%s.'],
      ['info', 'db is up.'],
    ])
  })

  it('writes what is no change as well, but nothing that comes with every call', () => {
    const logger = new Logger()
    const db = part()
    logAll(logger, db)
    db.emit('blocked', { severity: 'WARNING', message: 'The event loop was blocked for 3.0 s.' })
    db.emit('fallback', { severity: 'WARNING', message: 'Served from the cache.' })
    expect(logger.lines).toEqual([['warn', 'The event loop was blocked for 3.0 s.']])
  })

  it('writes once what a part says twice, as a change and as an event of its own', () => {
    const logger = new Logger()
    const [db, other] = [part(), part()]
    logAll(logger, db, other)
    const news = { severity: 'CRITICAL', message: 'The stores have diverged.', at: 7 }
    db.emit('change', news)
    db.emit('diverged', { ...news })
    other.emit('change', news)
    db.emit('change', { ...news, at: 8 })
    expect(logger.lines).toHaveLength(3)
  })

  it.each([
    ['first', [{ severity: 'INFO', message: 'db is up.', what: 'db' }, 'db is up.']],
    ['last', ['db is up.', { severity: 'INFO', message: 'db is up.', what: 'db' }]],
  ] as const)('hands the fields over as the %s argument', (fields, args) => {
    const logger = new Logger()
    const db = part()
    logAll({ sink: logger, fields }, db)
    db.emit('change', { severity: 'INFO', message: 'db is up.', what: 'db' })
    expect(logger.lines).toEqual([['info', ...args]])
  })

  it('writes only the events that it is told', () => {
    const logger = new Logger()
    const db = part()
    const off = logAll({ sink: logger, events: ['delivered', 'delivered'] }, db)
    db.emit('change', { severity: 'INFO', message: 'db is up.' })
    db.emit('delivered', { severity: 'INFO', message: 'Told.' })
    expect(logger.lines).toEqual([['info', 'Told.']])
    off()
    expect(db.eventNames()).toEqual([])
  })

  it('falls silent when told, also twice', () => {
    const logger = new Logger()
    const db = part()
    const off = logAll(logger, db)
    off()
    off()
    db.emit('change', { severity: 'INFO', message: 'db is up.' })
    expect(logger.lines).toEqual([])
    expect(db.listenerCount('change')).toBe(0)
  })

  it('passes over a change that has no sentence', () => {
    const logger = new Logger()
    const file = part()
    logAll(logger, file)
    file.emit('change', { path: 'config.json' })
    file.emit('change', undefined)
    expect(logger.lines).toEqual([])
  })

  it('keeps a sink that throws from harming the emitter and its other listeners', () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const fail = (): never => {
      throw new Error('disk full')
    }
    const db = part()
    logAll({ info: fail, warn: fail, error: fail }, db)
    const others = vi.fn()
    db.on('change', others)
    db.emit('change', { severity: 'INFO', message: 'db is up.' })
    expect(others).toHaveBeenCalledOnce()
    expect(warn.mock.calls[0]?.[0]).toBe('logAll could not write "db is up.": disk full')
  })

  it('keeps a sink that rejects from ending the process', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const fail = (): Promise<never> => Promise.reject(new Error('disk full'))
    const db = part()
    logAll({ info: fail, warn: fail, error: fail }, db)
    db.emit('change', { severity: 'INFO', message: 'db is up.' })
    await new Promise((resolve) => setImmediate(resolve))
    expect(warn.mock.calls[0]?.[0]).toBe('logAll could not write "db is up.": disk full')
  })

  it('refuses a sink without the three methods, and a part without events', () => {
    expect(() => logAll({ info: () => {}, warn: () => {} } as never)).toThrow('the sink has no error()')
    expect(() => logAll({ sink: console, fields: 'second' as 'last' })).toThrow("fields must be 'first' or 'last'")
    expect(() => logAll({ sink: console, event: [] } as never)).toThrow('has no option "event"')
    expect(() => logAll({ sink: console, events: 'change' as never })).toThrow('a list of names')
    expect(() => logAll(undefined as never)).toThrow('the sink has no info()')
    expect(() => logAll(console, part(), {} as never)).toThrow('part 2 has no on() and off()')
    expect(() => logAll(console, undefined as never)).toThrow('part 1 has no on() and off()')
    expect(() => logAll(console, [part()] as never)).toThrow('part 1 has no on() and off()')
  })
})
