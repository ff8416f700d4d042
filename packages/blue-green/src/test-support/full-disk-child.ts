import { MemoryStorage } from '@evenkeel/storage-adapter'
import { fileArchive, storageBackup } from '../preparation.js'

// Backs up more than there is room for, and says how that went.

const source = new MemoryStorage()
for (let i = 0; i < 2_000; i++) await source.collection('notes').set(`n${i}`, 'x'.repeat(1_000))
const backup = storageBackup({ source, archive: fileArchive(process.argv[2]!), scratch: () => new MemoryStorage() })
const outcome = await backup({ deploymentId: 'd', signal: new AbortController().signal }).catch(
  (error: unknown) => error,
)
console.log((outcome as { code?: string }).code ?? 'it fitted')
