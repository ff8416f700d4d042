import { performance as processTime } from 'node:perf_hooks'
import { getHeapStatistics } from 'node:v8'
import type { MetricFamily } from './metric-family.js'

/** What the process and its engine tell of themselves, under the names that dashboards know. */
export function readProcess(): MetricFamily[] {
  const { user, system } = process.cpuUsage()
  const { rss, heapUsed, heapTotal, external } = process.memoryUsage()
  return [
    seconds('counter', 'process_cpu_user_seconds_total', 'Processor time in the program.', user / 1e6),
    seconds('counter', 'process_cpu_system_seconds_total', 'Processor time in the operating system.', system / 1e6),
    seconds('counter', 'process_cpu_seconds_total', 'Processor time.', (user + system) / 1e6),
    bytes('process_resident_memory_bytes', 'Memory that the process occupies.', rss),
    seconds('gauge', 'process_start_time_seconds', 'When the process started.', processTime.timeOrigin / 1_000),
    seconds('gauge', 'process_uptime_seconds', 'How long the process has been running.', process.uptime()),
    bytes('nodejs_heap_used_bytes', 'Memory of the heap in use.', heapUsed),
    bytes('nodejs_heap_total_bytes', 'Memory of the heap.', heapTotal),
    bytes('nodejs_heap_limit_bytes', 'What the heap may grow to.', getHeapStatistics().heap_size_limit),
    bytes('nodejs_external_memory_bytes', 'Memory of buffers and the like.', external),
    // Its rate is the utilization. A utilization by itself would be a mean over the life of the process.
    seconds(
      'counter',
      'nodejs_eventloop_active_seconds_total',
      'Time in which the event loop was not idle.',
      processTime.eventLoopUtilization().active / 1_000,
    ),
    {
      name: 'nodejs_version_info',
      help: 'Which Node runs.',
      type: 'gauge',
      samples: [{ labels: { version: process.version }, value: 1 }],
    },
  ]
}

function seconds(type: 'counter' | 'gauge', name: string, help: string, value: number): MetricFamily {
  return { name, help, type, unit: 'seconds', samples: [{ labels: {}, value }] }
}

function bytes(name: string, help: string, value: number): MetricFamily {
  return { name, help, type: 'gauge', unit: 'bytes', samples: [{ labels: {}, value }] }
}
