/** How long a feature, or a call, is kept when things get worse: `critical` longest, `optional` least. */
export type Priority = 'critical' | 'high' | 'normal' | 'optional'

/** The most important first. */
export const priorities: readonly Priority[] = ['critical', 'high', 'normal', 'optional']
