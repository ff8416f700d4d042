/** Waits for what may never settle, no longer than a signal allows. What settles later is ignored. */
export function untilAborted<T>(settling: T | PromiseLike<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const abort = (): void => reject(reasonOf(signal))
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
    void Promise.resolve(settling)
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', abort))
  })
}

/** Why a signal was aborted, as an error. */
export function reasonOf({ reason }: AbortSignal): Error {
  return reason instanceof Error ? reason : new Error('it was cancelled')
}
