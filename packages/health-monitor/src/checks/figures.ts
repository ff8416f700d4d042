// How reasons show figures: for people, and always the same.

/** `12.5 %` */
export function percent(ratio: number): string {
  return `${plain(ratio * 100)} %`
}

/** `412 MiB` */
export function size(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, Math.abs(bytes))) / 10))
  return `${plain(bytes / 1024 ** power)} ${units[power]}`
}

/** `250 ms`, `90 s`, `60 min`, `4 h` */
export function duration(ms: number): string {
  if (ms < 1_000) return `${plain(ms)} ms`
  if (ms < 120_000) return `${plain(ms / 1_000)} s`
  return ms < 7_200_000 ? `${plain(ms / 60_000)} min` : `${plain(ms / 3_600_000)} h`
}

/** `1,200` */
export function count(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(?:\d{3})+$)/g, ',')
}

/** As many digits as matter. */
function plain(value: number): string {
  if (value === Infinity) return 'infinitely many'
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(1).replace(/\.0$/, '')
}
