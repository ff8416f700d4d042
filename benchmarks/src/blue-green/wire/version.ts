import { serveVersion } from '@evenkeel/blue-green/workers'

// A version that answers with the event, at once; and to `cpu` with how much processor time its process has used, in microseconds.

serveVersion((event: unknown) => {
  if (event !== 'cpu') return event
  const { user, system } = process.cpuUsage()
  return user + system
})
