import type { AlertMessage, AlertNotice } from '../alert.js'

/** A notice, in which only what matters is said. */
export function notice(fields: Partial<AlertNotice> = {}): AlertNotice {
  return {
    id: 'n1',
    fingerprint: 'f1',
    kind: 'firing',
    name: 'database down',
    severity: 'CRITICAL',
    message: 'connection refused',
    labels: { component: 'database' },
    at: Date.UTC(2026, 0, 1),
    since: Date.UTC(2026, 0, 1),
    count: 1,
    ...fields,
  }
}

/** A message of some notices. */
export function message(
  notices: readonly AlertNotice[] = [notice()],
  fields: Partial<AlertMessage> = {},
): AlertMessage {
  return { id: 'm1', at: Date.UTC(2026, 0, 1), severity: 'CRITICAL', isDigest: false, notices, ...fields }
}
