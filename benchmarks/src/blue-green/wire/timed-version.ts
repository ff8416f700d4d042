import { serveVersion } from '@evenkeel/blue-green/workers'

// A version that answers with the moment at which it began, on the clock of the machine.

serveVersion(() => String(process.hrtime.bigint()))
