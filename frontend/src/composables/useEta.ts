/** Time as a person likes to read it: it counts down between two answers, and does not jump when one comes. */

import { getCurrentScope, onScopeDispose, readonly, ref, toValue, watch, type MaybeRefOrGetter, type Ref } from 'vue'

import { stateOf, type AiVideoJob, type SecondsRange } from '../types'

/** Coarse on purpose: minutes that are promised to the second are promises broken. */
export type EtaBucket = { unit: 'under_a_minute' } | { unit: 'minute' | 'hour'; low: number; high: number }

// Text that changes more often than this is noise.
const TEXT_EVERY_MS = 5_000
const TICK_MS = 1_000

// A new estimate counts half against the one that is shown: after three answers little of an error is left.
const WEIGHT_OF_NEW = 0.5
// An increase of less than this is not shown: time that grows is noticed, and this much means nothing.
const IGNORED_RISE_SECONDS = 10
const LATENCY_SECONDS = 2

/** The range to show when `incoming` arrives while `shown` is on the screen; both are seconds left as of now. */
export function blended(shown: SecondsRange | null, incoming: SecondsRange): SecondsRange {
  if (shown === null) return incoming
  const one = (from: number, to: number) =>
    to > from && to - from < IGNORED_RISE_SECONDS ? from : from + (to - from) * WEIGHT_OF_NEW
  return { low: one(shown.low, incoming.low), high: one(shown.high, incoming.high) }
}

/** The words' worth of a range: under a minute, 'about 3-5 minutes', 'about 1-2 hours'. */
export function etaBucket({ low, high }: SecondsRange): EtaBucket {
  if (high < 60) return { unit: 'under_a_minute' }
  const isLong = high > 90 * 60
  const unit = isLong ? 3600 : 60
  // From ten minutes on a single minute is more than is known.
  const step = !isLong && high >= 600 ? 5 : 1
  const most = Math.ceil(high / unit / step) * step
  const least = Math.floor(low / unit / step) * step
  return { unit: isLong ? 'hour' : 'minute', low: Math.min(Math.max(least, 1), most), high: most }
}

/** Seconds left and passed of a job that is being made; null when unknown, or when there is nothing to wait for. */
export function useEta(source: MaybeRefOrGetter<AiVideoJob | null | undefined>): {
  eta: Readonly<Ref<SecondsRange | null>>
  elapsed: Readonly<Ref<number | null>>
} {
  const eta = ref<SecondsRange | null>(null)
  const elapsed = ref<number | null>(null)

  let left: SecondsRange | null = null
  let countedAt = 0
  let writtenAt = 0
  let answeredAt = 0
  let run: string | null = null
  let timer: ReturnType<typeof setTimeout> | undefined

  const isRunning = (job: AiVideoJob) => stateOf(job) === 'processing'

  function count(job: AiVideoJob, now: number): void {
    // Nobody knows when a vendor has room again: the rest is shown as it was.
    const passed = job.progress.pace === 'waiting_for_quota' ? 0 : (now - countedAt) / 1000
    countedAt = now
    if (left) left = { low: Math.max(0, left.low - passed), high: Math.max(0, left.high - passed) }
  }

  function write(now: number): void {
    const isDue = now - writtenAt >= TEXT_EVERY_MS || (eta.value === null) !== (left === null)
    if (!isDue) return
    writtenAt = now
    eta.value = left && { low: Math.round(left.low), high: Math.round(left.high) }
  }

  function answered(): void {
    const job = toValue(source)
    const now = Date.now()
    clearTimeout(timer)
    if (!job || !isRunning(job)) {
      elapsed.value = job ? job.progress.elapsed_seconds : null
      left = eta.value = run = null
      return
    }
    const { elapsed_seconds: said } = job.progress
    const isSameRun = run === job.created_at
    if (!isSameRun) {
      left = null
      writtenAt = 0
    }
    run = job.created_at
    // An answer is some tenths old when it comes; a clock must not step back for that.
    elapsed.value =
      isSameRun && (elapsed.value ?? 0) - said <= LATENCY_SECONDS ? Math.max(elapsed.value ?? 0, said) : said
    answeredAt = now - (elapsed.value - said) * 1000
    count(job, now)
    left = job.progress.eta_seconds && blended(left, job.progress.eta_seconds)
    write(now)
    tickLater()
  }

  function tickLater(): void {
    // A page that is rendered on a server may not leave a timer behind.
    if (typeof window !== 'undefined') timer = setTimeout(tick, TICK_MS)
  }

  function tick(): void {
    const job = toValue(source)
    if (!job || !isRunning(job)) return
    const now = Date.now()
    elapsed.value = job.progress.elapsed_seconds + Math.floor((now - answeredAt) / 1000)
    count(job, now)
    write(now)
    tickLater()
  }

  watch(() => toValue(source), answered, { immediate: true, flush: 'sync' })
  if (getCurrentScope()) onScopeDispose(() => clearTimeout(timer))

  return { eta: readonly(eta), elapsed: readonly(elapsed) }
}
