import { isMainThread, threadId } from 'node:worker_threads'
import { serveVersion } from '@evenkeel/blue-green/workers'
import { storageFromUrl } from '@evenkeel/storage-adapter/url'
import { teller } from '../../scripts/chaos-blue-green/facts.js'
import { doWork, type Work } from '../../scripts/chaos-blue-green/work.js'

/*
 * A version of a bot in a process or a thread of its own, for the chaos run.
 *
 *   chaos-version <version> <name of its owner> <address of the storage>
 */
const [version = '', owner = '', url] = process.argv.slice(2)
const by = `${owner}/${version}/${isMainThread ? process.pid : `${process.pid}.${threadId}`}`
const tell = teller(by)
const storage = storageFromUrl(url)
await storage.start()
tell('up', { version, ...(isMainThread && { pid: process.pid }) })

serveVersion(async (work: Work, { isRepeat }) => {
  const { id, command } = work
  tell('began', { id, attempt: isRepeat ? 2 : 1 })
  if (command === 'stumble' && !isRepeat) {
    tell('dies')
    if (isMainThread) process.kill(process.pid, 'SIGKILL')
    process.exit(1)
  }
  try {
    await doWork(work, storage, by, isRepeat ? 2 : 1)
  } catch (error) {
    tell('failed', { id, why: String(error) })
    throw error
  }
  tell('ended', { id, attempt: isRepeat ? 2 : 1 })
  return version
})
