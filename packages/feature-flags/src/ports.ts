/** Where time comes from. Every evenkeel clock fits; the system's own is used unless another is given. */
export interface Clock {
  /** Wall time in epoch ms. It only dates events. */
  now(): number
  /** Elapsed milliseconds that never go back. It measures the failure window and the retry delay. */
  monotonic(): number
}
