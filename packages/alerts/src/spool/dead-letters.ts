import { rename, stat } from 'node:fs/promises'
import type { AlertNotice } from '../alert.js'
import { AppendFile, syncDirectory } from './durable-files.js'

/** The file takes no more than this; then it becomes the old one, and the one before that goes. */
const MAX_BYTES = 8_000_000

/** A notice that a channel will not get, and why. */
export interface DeadLetter {
  readonly at: number
  readonly channel: string
  readonly why: string
  readonly notice: AlertNotice
}

/** The file of what could not be delivered, one JSON object a line. */
export class DeadLetters {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  /** Writes them down; they are on the disk when it resolves. */
  async write(letters: readonly DeadLetter[]): Promise<void> {
    const path = `${this.#directory}/dead-letter.jsonl`
    await this.#rotate(path)
    const file = await AppendFile.openLines(path)
    const isNew = file.length === 0
    try {
      file.write(Buffer.from(letters.map((letter) => `${JSON.stringify(letter)}\n`).join('')))
      await file.sync()
      if (isNew) await syncDirectory(this.#directory)
    } finally {
      await file.close()
    }
  }

  async #rotate(path: string): Promise<void> {
    const { size } = await stat(path).catch(() => ({ size: 0 }))
    if (size > MAX_BYTES) await rename(path, `${this.#directory}/dead-letter.old.jsonl`)
  }
}
