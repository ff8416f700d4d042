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

  it('refuses a sink without the three methods, and a part without events', () => {
    expect(() => logAll({ info: () => {}, warn: () => {} } as never)).toThrow('the sink has no error()')
    expect(() => logAll(undefined as never)).toThrow('the sink has no info()')
    expect(() => logAll(console, part(), {} as never)).toThrow('part 2 has no on() and off()')
    expect(() => logAll(console, undefined as never)).toThrow('part 1 has no on() and off()')
    expect(() => logAll(console, [part()] as never)).toThrow('part 1 has no on() and off()')
  })
})
