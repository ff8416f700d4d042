import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { FileStorage, type Storage } from '@evenkeel/storage-adapter'

export interface Database {
  readonly kind: string
  readonly path: string
  readonly storage: Storage
}

export async function openDatabase(directory: string): Promise<Database> {
  await mkdir(directory, { recursive: true })
  const path = join(directory, 'bot')
  return { kind: 'files', path, storage: new FileStorage({ path }) }
}
