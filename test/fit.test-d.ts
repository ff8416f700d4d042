import type { WebSocketManager, WebSocketManagerOptions } from '@discordjs/ws'
import type { Alerts, Clock as AlertsClock, NewsSource } from '@evenkeel/alerts'
import type {
  BlueGreen,
  Clock as BlueGreenClock,
  HealthSource as BlueGreenHealth,
  StateStore,
  fromRolloutPlan,
} from '@evenkeel/blue-green'
import { memoryState } from '@evenkeel/blue-green'
import type {
  ConnectedClient,
  EventSource,
  EventTaker,
  GatewayManager,
  GatewayRest,
  SessionHandover,
  SharedStore,
  WholeInteraction,
} from '@evenkeel/blue-green/discord'
import type { KubernetesSlotOptions, RoutedBlueGreen } from '@evenkeel/blue-green/kubernetes'
import type { JobOwner, Jobs, JobStorage, JobStore } from '@evenkeel/blue-green/jobs'
import type {
  fromHealthCheck,
  ProbedCollection,
  ReadableStorage,
  WritableStorage,
} from '@evenkeel/blue-green/preparation'
import type { GaplessRestart } from '@evenkeel/blue-green/restart'
import { memoryState as memoryModes } from '@evenkeel/degradation-manager'
import type {
  Clock as DegradationClock,
  DegradationManager,
  FlagSource,
  HealthSource as DegradationHealth,
  StateStore as ModeStore,
} from '@evenkeel/degradation-manager'
import type { AdaptiveLimiter, Bulkhead } from '@evenkeel/degradation-manager'
import type { GateAdmission, GatedInteraction, GateFlags, GateModes } from '@evenkeel/degradation-manager/discord'
import type { ChangeSource, Registry } from '@evenkeel/degradation-manager/registry'
import type { Clock as FlagsClock, FeatureFlags } from '@evenkeel/feature-flags'
import type { PlanDefinition, RolloutPlan } from '@evenkeel/feature-flags/rollout'
import type {
  CheckableFlags,
  CheckablePool,
  CheckableStorage,
  Clock as HealthClock,
  HealthMonitor,
  PooledStorage,
} from '@evenkeel/health-monitor'
import type { DiscordClient, DiscordRestClient } from '@evenkeel/health-monitor/discord'
import type { HealthServer, LiveServer, ShownHealth } from '@evenkeel/health-monitor/http'
import type { HealthCheck } from '@evenkeel/health-monitor'
import { environmentCheck, nodeVersionCheck } from '@evenkeel/health-monitor/preflight'
import type { LoggablePart, Part } from '@evenkeel/health-monitor/lifecycle'
import type { MeasuredHealth, ProcessMetrics } from '@evenkeel/health-monitor/metrics'
import type { Clock as StorageClock, FailoverStorage, FileStorage, MemoryStorage } from '@evenkeel/storage-adapter'
import type { Clock as LeaseClock, Lease, LeaseStore, RunStore, Schedule } from '@evenkeel/storage-adapter/lease'
import type { PostgresStorage } from '@evenkeel/storage-adapter/postgres'
import type { RedisStorage } from '@evenkeel/storage-adapter/redis'
import type { SqliteStorage } from '@evenkeel/storage-adapter/sqlite'
import type { FakeClock } from '@evenkeel/testing'
import type { Client, Interaction, Message } from 'discord.js'
import type { Pool } from 'pg'

// Packages meet by shape and never import one another, so only here does a compiler see them together: every class fits
// every port that it should fit, and none that it should not.

declare const clock: FakeClock
declare const restart: GaplessRestart
declare const jobs: Jobs
declare const handover: SessionHandover
declare const gateway: WebSocketManager
declare const client: Client
declare const pool: Pool
declare const memory: MemoryStorage
declare const file: FileStorage
declare const sqlite: SqliteStorage
declare const postgres: PostgresStorage
declare const redis: RedisStorage
declare const lease: Lease
declare const rolloutPlan: RolloutPlan
declare const planDefinition: PlanDefinition
declare const schedule: Schedule
declare const failover: FailoverStorage
declare const flags: FeatureFlags
declare const health: HealthMonitor
declare const healthCheck: HealthCheck
declare const server: HealthServer
declare const live: LiveServer
declare const numbers: ProcessMetrics
declare const alerts: Alerts
declare const modes: DegradationManager<string>
declare const blueGreen: BlueGreen
declare const limiter: AdaptiveLimiter
declare const bulkhead: Bulkhead
declare const registry: Registry<{ translate(text: string): string }>
declare const interaction: Interaction
declare const message: Message

function fits<Port>(...candidates: readonly Port[]): void {
  void candidates
}

// The clock of the tests is a clock for everybody.
fits<AlertsClock>(clock)
fits<BlueGreenClock>(clock)
fits<DegradationClock>(clock)
fits<FlagsClock>(clock)
fits<HealthClock>(clock)
fits<StorageClock>(clock)
fits<LeaseClock>(clock)
// @ts-expect-error the wall alone is no clock: it goes back
fits<HealthClock>(Date)

// A collection of any storage keeps state; what has no compare-and-set keeps none.
fits<StateStore>(memory.collection('state'), file.collection('state'), sqlite.collection('state'))
fits<StateStore>(postgres.collection('state'), redis.collection('state'), failover.collection('state'), memoryState())
fits<LeaseStore>(memory.collection('state'), sqlite.collection('state'), postgres.collection('state'))
fits<RunStore>(memory.collection('state'), sqlite.collection('state'), redis.collection('state'))
fits<ModeStore>(memory.collection('state'), file.collection('state'), sqlite.collection('state'))
fits<ModeStore>(postgres.collection('state'), redis.collection('state'), failover.collection('state'), memoryModes())
// @ts-expect-error a Map overwrites what another has just written
fits<ModeStore>(new Map<string, unknown>())
// @ts-expect-error a Map overwrites what another has just written
fits<StateStore>(new Map<string, unknown>())
// @ts-expect-error a Map has no compare-and-set
fits<LeaseStore>(new Map<string, unknown>())
// @ts-expect-error a storage hands out collections and is none
fits<StateStore>(memory)

// The monitor is what others ask for health.
fits<BlueGreenHealth>(health)
fits<DegradationHealth>(health)
// Whether people can be told is a health too.
fits<DegradationHealth>(alerts)
fits<BlueGreenHealth>(alerts)
// @ts-expect-error a storage has a health of its own, and knows no other component
fits<BlueGreenHealth>(failover)
// @ts-expect-error modes follow health and are none
fits<DegradationHealth>(modes)

// The traffic of a cluster follows a deployment.
fits<RoutedBlueGreen>(blueGreen)
fits<ReturnType<KubernetesSlotOptions<unknown>['status']>>(blueGreen.status)
// @ts-expect-error the flags shift nothing
fits<RoutedBlueGreen>(flags)

// Jobs are owned by a process among several, or by a version in one, and kept in a collection.
fits<JobOwner>(restart, blueGreen)
fits<JobStore>(memory.collection('state'), sqlite.collection('state'), postgres.collection('state'), memoryState())
fits<JobStorage>(memory, file, sqlite, postgres, redis, failover)
// @ts-expect-error health owns nothing
fits<JobOwner>(health)
// @ts-expect-error a Map has no compare-and-set
fits<JobStore>(new Map<string, unknown>())
fits<Part>(jobs)
fits<LoggablePart>(jobs)
fits<NewsSource>(jobs)

// discord.js and its gateway, by their shape; and whatever takes events takes those of Discord.
fits<EventSource>(client)
fits<ConnectedClient>(client)
fits<EventTaker<unknown>>(restart, blueGreen)
fits<GatewayRest>(client.rest)
fits<GatewayManager>(gateway)
fits<WebSocketManagerOptions['retrieveSessionInfo']>(handover.retrieveSessionInfo)
fits<WebSocketManagerOptions['updateSessionInfo']>(handover.updateSessionInfo)
fits<SharedStore>(sqlite.collection('state'), postgres.collection('state'), redis.collection('state'))
fits<WholeInteraction>(interaction)
// @ts-expect-error a message comes again when it is edited or deleted
fits<WholeInteraction>(message)
// @ts-expect-error what changes without conditions hands no session over
fits<SharedStore>(memoryState())
fits<LoggablePart>(handover)
fits<NewsSource>(handover)

// What is backed up before a deployment is a storage; a restore writes one.
fits<ReadableStorage>(memory, file, sqlite, postgres, redis, failover)
fits<WritableStorage>(memory, file, sqlite, postgres, redis, failover)
fits<ProbedCollection>(memory.collection('state'), sqlite.collection('state'), new Map<string, string>())
// @ts-expect-error a Map has no collections
fits<ReadableStorage>(new Map<string, unknown>())
// Whatever the monitor takes for a check, a deployment takes too, by way of an adapter.
fits<Parameters<typeof fromHealthCheck>[0]>(nodeVersionCheck('20'), environmentCheck({}), healthCheck)
// @ts-expect-error a monitor is no check
fits<Parameters<typeof fromHealthCheck>[0]>(health)

// Each check takes what it is named after.
fits<CheckableStorage>(memory, file, sqlite, postgres, redis, failover)
// @ts-expect-error a collection cannot say how its storage is
fits<CheckableStorage>(memory.collection('state'))
fits<PooledStorage>(postgres)
fits<CheckablePool>(pool)
// @ts-expect-error a storage has its pool inside
fits<CheckablePool>(postgres)
fits<CheckableFlags>(flags)
// @ts-expect-error modes are no flags
fits<CheckableFlags>(modes)
// Modes follow flags.
fits<FlagSource>(flags)
// @ts-expect-error health answers for components, and no flag
fits<FlagSource>(health)
// A gate asks modes, flags and a limiter, and takes whatever a member does.
fits<GateModes>(modes)
fits<GateFlags>(flags)
fits<GateAdmission>(limiter, bulkhead)
fits<GatedInteraction>(interaction)
// @ts-expect-error a message is no interaction: nobody waits for it to be acknowledged
fits<GatedInteraction>(message)
// @ts-expect-error flags know no features
fits<GateModes>(flags)
// @ts-expect-error a client lets nobody in
fits<GateAdmission>(client)
// The plan that drives a flag drives a deployment, once it was checked.
fits<Parameters<typeof fromRolloutPlan>[0]>(rolloutPlan)
// @ts-expect-error a plan as it is written has lists of percentages, and may leave out its triggers
fits<Parameters<typeof fromRolloutPlan>[0]>(planDefinition)
// A registry hears of flags.
fits<ChangeSource>(flags, health)
fits<DiscordClient>(client)
fits<DiscordRestClient>(client)
// @ts-expect-error a client of a shape of its own has no part that talks over HTTP
fits<DiscordRestClient>({ ws: client.ws })
// @ts-expect-error a storage is no gateway
fits<DiscordClient>(memory)

// Whatever begins and ends is part of one life, and whatever changes is part of one log.
fits<Part>(memory, file, sqlite, postgres, redis, failover, lease, schedule, health, modes, blueGreen, alerts)
fits<LoggablePart>(failover, postgres, lease, schedule, flags, health, modes, blueGreen, alerts)
fits<NewsSource>(failover, postgres, lease, schedule, flags, health, modes, blueGreen)
fits<Part>(server, live, numbers, registry)
fits<LoggablePart>(live, registry)
fits<NewsSource>(live, registry, limiter, bulkhead)
fits<ShownHealth>(health)
fits<MeasuredHealth>(health)
// @ts-expect-error a clock has nothing to say
fits<LoggablePart>(clock)
// @ts-expect-error and nothing to tell people of
fits<NewsSource>(clock)
