import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { manifestFaults } from '../scripts/manifest.js'
import { filesReachedFrom, importedPackages, publishedFiles } from '../scripts/sources.js'
import { packages } from '../scripts/workspace.js'

// What each package may import at run time. A subpath may have more than the package itself: that is what it is for.
const allowedImports: Readonly<Record<string, readonly string[]>> = {
  '@evenkeel/alerts': ['eventemitter3'],
  '@evenkeel/alerts/email': ['nodemailer'],
  '@evenkeel/blue-green': ['@evenkeel/canary-judge', 'eventemitter3'],
  '@evenkeel/blue-green/workers': ['eventemitter3'],
  '@evenkeel/blue-green/http': [],
  '@evenkeel/blue-green/jobs': ['eventemitter3'],
  '@evenkeel/blue-green/restart': ['eventemitter3'],
  '@evenkeel/blue-green/kubernetes': ['eventemitter3'],
  '@evenkeel/blue-green/preparation': [],
  '@evenkeel/blue-green/rehearsal': [],
  '@evenkeel/blue-green/discord': ['eventemitter3'],
  '@evenkeel/degradation-manager': ['eventemitter3'],
  '@evenkeel/degradation-manager/bolt': ['eventemitter3'],
  '@evenkeel/degradation-manager/discord': ['eventemitter3'],
  '@evenkeel/degradation-manager/grammy': ['eventemitter3'],
  '@evenkeel/degradation-manager/handover': ['eventemitter3'],
  '@evenkeel/degradation-manager/registry': ['eventemitter3'],
  '@evenkeel/feature-flags': ['eventemitter3'],
  '@evenkeel/feature-flags/file': ['yaml'],
  '@evenkeel/feature-flags/legacy': ['eventemitter3'],
  '@evenkeel/feature-flags/openfeature': ['@openfeature/server-sdk'],
  '@evenkeel/feature-flags/rollout': ['eventemitter3', '@evenkeel/canary-judge', 'yaml'],
  '@evenkeel/health-monitor': ['eventemitter3'],
  '@evenkeel/health-monitor/discord': [],
  '@evenkeel/health-monitor/http': ['eventemitter3'],
  '@evenkeel/health-monitor/lifecycle': [],
  '@evenkeel/health-monitor/metrics': [],
  '@evenkeel/health-monitor/preflight': ['eventemitter3'],
  '@evenkeel/storage-adapter': ['eventemitter3'],
  '@evenkeel/storage-adapter/contract': [],
  '@evenkeel/storage-adapter/lease': ['eventemitter3'],
  '@evenkeel/storage-adapter/postgres': ['eventemitter3', 'pg'],
  '@evenkeel/storage-adapter/redis': ['eventemitter3', 'ioredis'],
  '@evenkeel/storage-adapter/sqlite': ['eventemitter3', 'better-sqlite3'],
  '@evenkeel/storage-adapter/url': ['eventemitter3', 'better-sqlite3', 'ioredis', 'pg'],
  '@evenkeel/testing': [],
}

describe.each(packages)('$name', (pkg) => {
  it('has a manifest that agrees with itself and with its files', () => {
    expect(manifestFaults(pkg)).toEqual([])
  })

  it.each(pkg.entries)('imports through $specifier only what the design allows', ({ specifier, source }) => {
    const imported = new Set([...filesReachedFrom(source)].flatMap(importedPackages))
    const refused = [...imported].filter((name) => !allowedImports[specifier]?.includes(name))
    expect(refused).toEqual([])
  })

  it('asks `instanceof` only of its own classes, since another package may be loaded twice', () => {
    const texts = publishedFiles(pkg).map((path) => readFileSync(path, 'utf8'))
    const own = new Set(texts.flatMap((text) => [...text.matchAll(/\bclass (\w+)/g)].map(([, name]) => name)))
    const asked = texts.flatMap((text) => [...text.matchAll(/ instanceof (\w+)/g)].map(([, name = '']) => name))
    const foreign = asked.filter((name) => !own.has(name) && !Object.hasOwn(globalThis, name))
    expect(foreign).toEqual([])
  })
})
