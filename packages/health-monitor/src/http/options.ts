import type { MetricSource } from '../metrics/metric-family.js'
import { requireKnown } from '../options.js'
import type { Clock } from '../ports.js'
import type { Visitor } from './access.js'

/** What is shown of one component. */
export interface ShownComponent {
  /** How it is. */
  readonly status: string
  /** Why, for people. */
  readonly reason: string
  /** Since when, epoch ms. */
  readonly since: number
  /** When it was last looked at, epoch ms. */
  readonly observedAt?: number | undefined
  /** How long that look took, in ms. */
  readonly tookMs?: number | undefined
  /** Whether the whole is down when it is. */
  readonly critical?: boolean
}

/** Anything that knows how it is: a `HealthMonitor`, or the like. */
export interface ShownHealth {
  /** How the whole is. */
  readonly status: string
  /** How the components are, by name. */
  readonly components: ReadonlyMap<string, ShownComponent>
  /** Tells when something has changed. */
  on(event: 'change', listener: () => void): unknown
}

/** What tells whether work should come, as far as probes need it. A {@link Readiness} fits. */
export interface ShownReadiness {
  /** Whether work should come now. */
  readonly isOn: boolean
  /** Whether everything has started. */
  readonly hasStarted: boolean
}

/** What is served, to whom. */
export interface HealthHandlerOptions {
  /**
   * Comes before every path: `/internal` serves `/internal/live`.
   *
   * @defaultValue `''`
   */
  readonly prefix?: string
  /**
   * Other paths than `/live`, `/ready`, `/startup`, `/health`, `/metrics`; `false` leaves one out.
   *
   * @defaultValue `{}`
   */
  readonly paths?: Partial<Readonly<Record<PageName, string | false>>>
  /** What a `Bearer` must show to see details and metrics; 16 characters or more. */
  readonly token?: string
  /** Decides, instead of a token, who may see details and metrics; what it throws means no. */
  readonly isAllowed?: (visitor: Visitor) => boolean
  /** Whether work should come. Without it, the bot is ready when it is healthy, and has started when it was healthy once. */
  readonly readiness?: ShownReadiness
  /** What `/metrics` shows; without it there is no such page. Whoever reaches the port sees it, unless access is limited. */
  readonly metrics?: readonly MetricSource[]
  /** The clock to live by; the machine's unless a test brings another. */
  readonly clock?: Clock
}

/** What handlers use when their options leave it open. */
export const healthHandlerDefaults: Required<Pick<HealthHandlerOptions, 'prefix' | 'paths'>> = {
  prefix: '',
  paths: {},
}

/** The pages there are. */
export type PageName = 'live' | 'ready' | 'startup' | 'health' | 'metrics'

const PAGES: readonly PageName[] = ['live', 'ready', 'startup', 'health', 'metrics']

const KNOWN = [
  'prefix',
  'paths',
  'token',
  'isAllowed',
  'readiness',
  'metrics',
  'clock',
] satisfies (keyof HealthHandlerOptions)[]

/** @throws TypeError when the health or an option is none */
export function requireHandler(
  where: string,
  health: ShownHealth,
  options: HealthHandlerOptions,
  more: readonly string[] = [],
): void {
  const given: Partial<ShownHealth> | null | undefined = health
  if (typeof given?.on !== 'function' || typeof given.components?.get !== 'function') {
    throw new TypeError(`${where}: give a HealthMonitor, or anything with status, components and on()`)
  }
  requireKnown(where, options, [...KNOWN, ...more])
  const { readiness } = options
  if (readiness !== undefined && typeof readiness.isOn !== 'boolean') {
    throw new TypeError(`${where}: readiness must be a Readiness, with isOn and hasStarted`)
  }
}

/** @throws TypeError when a path is none, or is there twice */
export function pathsOf(where: string, options: HealthHandlerOptions): ReadonlyMap<string, PageName> {
  const { prefix = healthHandlerDefaults.prefix, paths = healthHandlerDefaults.paths } = options
  if (prefix !== '' && !isPath(prefix)) {
    throw new TypeError(`${where}: prefix must begin with / and not end with it, not ${JSON.stringify(prefix)}`)
  }
  requireKnown(`${where}: paths`, paths, PAGES)
  const all = new Map<string, PageName>()
  for (const page of PAGES) {
    const path = paths[page] ?? `/${page}`
    if (path === false || (page === 'metrics' && options.metrics === undefined)) continue
    if (!isPath(path)) {
      throw new TypeError(`${where}: paths.${page} must begin with / and not end with it, not ${JSON.stringify(path)}`)
    }
    if (all.has(prefix + path)) throw new TypeError(`${where}: two pages have the path ${prefix}${path}`)
    all.set(prefix + path, page)
  }
  return all
}

function isPath(path: unknown): path is string {
  return typeof path === 'string' && /^\/[\w.~!$&'()*+,;=:@/-]*$/.test(path) && !path.endsWith('/')
}
