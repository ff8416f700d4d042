import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Program as BlueGreenProgram } from '../blue-green/program.js'
import type { Program as HealthProgram } from '../health/program.js'
import { bundle, type ProgramFile } from './bundle.js'
import type { Program as YieldingProgram } from '../yielding/program.js'
import type { Program } from './program.js'

/**
 * Runs a benchmark of flags, of health, of what yields or of what swaps, in a process of its own. Beside `@keyv/redis`, which the benchmarks of storage load, reading
 * a character of a text takes five times as long, and with it every hash.
 */
export function alone(program: Program): () => Promise<void>
export function alone(program: BlueGreenProgram, of: 'blue-green/program'): () => Promise<void>
export function alone(program: HealthProgram, of: 'health/program'): () => Promise<void>
export function alone(program: YieldingProgram, of: 'yielding/program'): () => Promise<void>
export function alone(program: string, of: ProgramFile = 'flags/program'): () => Promise<void> {
  return async () => {
    const child = spawn(process.execPath, [await bundle(of), program], { stdio: 'inherit' })
    const [code] = (await once(child, 'exit')) as [number | null]
    if (code !== 0) throw new Error(`The benchmark ${program} ended with ${code}`)
  }
}
