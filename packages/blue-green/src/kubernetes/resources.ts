/** Which object of the cluster is meant. */
export interface KubernetesResource {
  /** The part of the path before the namespace, as `/apis/apps/v1`. */
  readonly base: string
  /** As in paths and roles: `deployments`. */
  readonly plural: string
  /** What the object is called. */
  readonly name: string
}

/** An object as the API gives it, as far as it is read here. */
export interface KubernetesObject {
  /** What all objects have. */
  readonly metadata: {
    /** Another one after each write; compared for equality only. */
    readonly resourceVersion: string
    /** Another one after each change of `spec`. */
    readonly generation?: number | undefined
    /** Notes of whoever works with it. */
    readonly annotations?: Readonly<Record<string, string>> | undefined
  }
  /** What it should be. */
  readonly spec: Readonly<Record<string, unknown>>
  /** What it is. */
  readonly status: Readonly<Record<string, unknown>>
}

export function deployment(name: string): KubernetesResource {
  return { base: '/apis/apps/v1', plural: 'deployments', name: readName('deployment', name) }
}

export function service(name: string): KubernetesResource {
  return { base: '/api/v1', plural: 'services', name: readName('service', name) }
}

export function httpRoute(name: string): KubernetesResource {
  return { base: '/apis/gateway.networking.k8s.io/v1', plural: 'httproutes', name: readName('route', name) }
}

/** As in messages: `deployments/bot-green`. */
export function labelOf({ plural, name }: KubernetesResource): string {
  return `${plural}/${name}`
}

/** @throws TypeError unless it is a name as the cluster has them; so it cannot change the path either */
export function readName(option: string, name: unknown): string {
  if (typeof name === 'string' && name.length <= 253 && /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(name)) return name
  throw new TypeError(`${option} must be a name of Kubernetes, such as "bot-green", not ${JSON.stringify(name)}`)
}

/** What somebody else wrote is looked at field by field. */
export function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {}
}

/** @returns `undefined` when it is no object of the API */
export function readObject(value: unknown): KubernetesObject | undefined {
  const { metadata, spec, status } = recordOf(value)
  const { resourceVersion, generation, annotations } = recordOf(metadata)
  if (typeof resourceVersion !== 'string' || resourceVersion === '') return undefined
  const notes = Object.entries(recordOf(annotations)).map(([key, note]) => [key, String(note)])
  return {
    metadata: {
      resourceVersion,
      ...(typeof generation === 'number' && { generation }),
      annotations: Object.fromEntries(notes) as Record<string, string>,
    },
    spec: recordOf(spec),
    status: recordOf(status),
  }
}
