export { StateFormatError, StoreUnavailableError } from './errors.js'
export { JobLostError } from './jobs/errors.js'
export type { JobNews, JobsChange, JobsEvents } from './jobs/events.js'
export { Jobs, type JobsDrained, type JobsDrainOptions, type JobsStatus } from './jobs/jobs.js'
export {
  jobDefaults,
  jobsDefaults,
  type JobDefaults,
  type JobOptions,
  type JobRun,
  type JobsDefaults,
  type JobsOptions,
} from './jobs/options.js'
export type {
  JobCheck,
  JobClear,
  JobDelete,
  JobOperation,
  JobOwner,
  JobSet,
  JobStorage,
  JobStore,
  OwningProcess,
  OwningVersion,
} from './jobs/ports.js'
export type { JobStatus } from './jobs/scheduled-job.js'
export type { NextAt } from './jobs/times.js'
export type { Effects } from './slots/worker-options.js'
