/** A job on the server, watched: what is known of it, and what may be done with it. */

import {
  computed,
  getCurrentInstance,
  getCurrentScope,
  hasInjectionContext,
  inject,
  onMounted,
  onScopeDispose,
  readonly,
  ref,
  shallowRef,
  toValue,
  watch,
  type ComputedRef,
  type InjectionKey,
  type MaybeRefOrGetter,
  type Ref,
  type ShallowRef,
} from 'vue'

import type { AiVideoAnswer, AiVideoClient } from '../client'
import { AiVideoProblem } from '../problem'
import {
  stateOf,
  type AiVideoConnection,
  type AiVideoDryRun,
  type AiVideoEdit,
  type AiVideoJob,
  type AiVideoJobError,
  type AiVideoOptions,
  type AiVideoScene,
  type AiVideoState,
  type AiVideoStep,
  type SecondsRange,
} from '../types'
import { useEta } from './useEta'

/** Provided by the plugin, or by an application itself, so that not every component has to be given the client. */
export const AI_VIDEO_CLIENT: InjectionKey<AiVideoClient> = Symbol('ai-video client')

/** What is being sent, while its button waits. */
export type AiVideoPending = 'start' | 'retry' | 'approve' | 'cancel'

export interface UseAiVideoOptions {
  /** Otherwise the one that was provided under `AI_VIDEO_CLIENT`. */
  client?: MaybeRefOrGetter<AiVideoClient | undefined>
  /** Look when mounted, and whenever the id changes. */
  auto?: boolean
  /** Milliseconds between looks where the server names no time, at first and at most. */
  minInterval?: number
  maxInterval?: number
  /** Whether a hidden tab asks nothing.  Switched off, a job can be told as finished while nobody looks. */
  pauseWhenHidden?: MaybeRefOrGetter<boolean>
  /** Called when a job ends while it is watched; not for one that had ended before. */
  onCompleted?: (job: AiVideoJob) => void
  onFailed?: (error: AiVideoJobError | null, job: AiVideoJob) => void
  onCancelled?: (job: AiVideoJob) => void
}

export interface UseAiVideo {
  job: ShallowRef<AiVideoJob | null>
  state: ComputedRef<AiVideoState>
  percent: ComputedRef<number | null>
  steps: ComputedRef<readonly AiVideoStep[]>
  scenes: ComputedRef<readonly AiVideoScene[]>
  /** Seconds left, counted down smoothly; null when nobody knows. */
  eta: Readonly<Ref<SecondsRange | null>>
  /** Seconds since the job began. */
  elapsed: Readonly<Ref<number | null>>
  /** Why the job failed, as the server says. */
  error: ComputedRef<AiVideoJobError | null>
  /** Why the last request was refused.  It says nothing about the job. */
  problem: ShallowRef<AiVideoProblem | null>
  connection: Readonly<Ref<AiVideoConnection>>
  pending: Readonly<Ref<AiVideoPending | null>>
  /** These five resolve to null when the request was refused; `problem` says why. */
  estimate: (options?: AiVideoOptions) => Promise<AiVideoDryRun | null>
  start: (options?: AiVideoOptions, how?: { force?: boolean }) => Promise<AiVideoJob | null>
  retry: (changes?: { sceneBeats?: AiVideoEdit[]; maxCostUsd?: number }) => Promise<AiVideoJob | null>
  approve: (sceneBeats?: AiVideoEdit[]) => Promise<AiVideoJob | null>
  cancel: () => Promise<AiVideoJob | null>
  /** Looks at once; `fresh` asks for the whole answer, with addresses signed anew.  Nothing while a click is on its way. */
  refresh: (how?: { fresh?: boolean }) => Promise<void>
  /** Asks nothing more until `refresh` or an action. */
  stop: () => void
}

const GROWTH = 1.3
const JITTER = 0.2
const LONGEST_BACKOFF_MS = 60_000
// Addresses are renewed this long before they expire: a download that is clicked must still begin.
const RENEWED_BEFORE_MS = 60_000
// setTimeout takes a 32-bit number; a longer wait would fire at once.
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1

/**
 * Watches the AI video of `videoId`.
 *
 * The server is the only truth: nothing is remembered between visits, and no time that passes here makes a job failed.
 */
export function useAiVideo(
  videoId: MaybeRefOrGetter<string | null | undefined>,
  options: UseAiVideoOptions = {},
): UseAiVideo {
  const { auto = true, minInterval = 3_000, maxInterval = 15_000, pauseWhenHidden = true } = options
  const provided = hasInjectionContext() ? inject(AI_VIDEO_CLIENT, undefined) : undefined

  const job = shallowRef<AiVideoJob | null>(null)
  const problem = shallowRef<AiVideoProblem | null>(null)
  const connection = ref<AiVideoConnection>('ok')
  const pending = ref<AiVideoPending | null>(null)
  const isLoading = ref(auto && Boolean(toValue(videoId)))
  const { eta, elapsed } = useEta(job)

  let etag: string | null = null
  let flight: AbortController | null = null
  let estimating: AbortController | null = null
  let timer: ReturnType<typeof setTimeout> | undefined
  let interval = minInterval
  let failures = 0
  let isStopped = true
  let problemIsOfLooking = false
  let renewedFor: string | null = null

  function client(): AiVideoClient {
    const found = toValue(options.client) ?? provided
    if (!found) throw new Error('useAiVideo needs a client: pass one, or install the plugin with one')
    return found
  }

  const isPaused = () => toValue(pauseWhenHidden) && document.visibilityState === 'hidden'

  /** No timer, and nobody to answer: what was asked before is void. */
  function halt(): AbortController {
    clearTimeout(timer)
    flight?.abort()
    flight = new AbortController()
    return flight
  }

  function stop(): void {
    isStopped = true
    pending.value = null
    halt()
  }

  async function look(fresh: boolean): Promise<void> {
    const id = toValue(videoId)
    const own = halt()
    if (!id) return
    isStopped = false
    isLoading.value = job.value === null
    let answer: AiVideoAnswer
    try {
      answer = await client().get(id, { etag: fresh ? null : etag, signal: own.signal })
    } catch (error) {
      if (!own.signal.aborted) troubled(error)
      return
    }
    if (!own.signal.aborted) accept(answer, false)
  }

  function accept(answer: AiVideoAnswer, isOurDoing: boolean): void {
    const known = job.value
    failures = 0
    connection.value = 'ok'
    isLoading.value = false
    if (problemIsOfLooking) problem.value = null
    // An answer that was overtaken on its way is older than what is shown.
    if (answer.job && (known === null || answer.job.revision >= known.revision)) {
      etag = answer.etag
      job.value = answer.job
      if (known?.phase !== answer.job.phase) interval = minInterval
      const was = known === null ? (isOurDoing ? 'processing' : null) : stateOf(known)
      tellEnd(was, answer.job)
    }
    goOn(answer.retryAfter)
  }

  function tellEnd(was: AiVideoState | null, now: AiVideoJob): void {
    if (was !== 'processing' && was !== 'awaiting_review') return
    const state = stateOf(now)
    if (state === 'completed') options.onCompleted?.(now)
    else if (state === 'failed') options.onFailed?.(now.error, now)
    else if (state === 'cancelled') options.onCancelled?.(now)
  }

  /** Plans the next look, if there is to be one. */
  function goOn(named: number | null): void {
    const known = job.value
    if (isStopped || known === null) return
    if (known.ai_generation_status !== 'processing') return renewInTime(known)
    // A 304 has no body, and a browser may not see its headers: then what was said with the job still holds.
    const seconds = named ?? known.poll_after_seconds
    if (seconds !== null) return lookAfter(jittered(seconds * 1000))
    lookAfter(jittered(interval))
    interval = Math.min(interval * GROWTH, maxInterval)
  }

  /** Signed addresses of a job at rest are fetched anew, once for each time they expire. */
  function renewInTime({ urls_expire_at: expireAt }: AiVideoJob): void {
    if (expireAt === null || renewedFor === expireAt) return
    const wait = Date.parse(expireAt) - RENEWED_BEFORE_MS - Date.now()
    lookAfter(Math.min(Math.max(wait, 0), LONGEST_TIMEOUT_MS), () => {
      renewedFor = expireAt
      return look(true)
    })
  }

  function lookAfter(milliseconds: number, what = () => look(false)): void {
    clearTimeout(timer)
    // When it is shown again, `wake` asks at once.
    if (isPaused()) return
    timer = setTimeout(() => void what(), milliseconds)
  }

  function troubled(error: unknown): void {
    if (!(error instanceof AiVideoProblem)) {
      stop()
      throw error
    }
    if (error.isTransient) {
      const backoff = jittered(Math.min(minInterval * 2 ** failures, LONGEST_BACKOFF_MS))
      failures += 1
      // An answer of 429 is an answer: nothing has to be reconnected.
      if (error.status !== 429) connection.value = navigator.onLine ? 'reconnecting' : 'offline'
      // Never earlier than was asked for.
      const asked = (error.retryAfter ?? 0) * 1000 * (1 + Math.random() * JITTER)
      return lookAfter(Math.max(backoff, asked))
    }
    isStopped = true
    isLoading.value = false
    connection.value = 'ok'
    if (error.status === 404) job.value = etag = null
    // That nobody has asked for a video yet is no trouble.
    problem.value = error.code === 'JOB_NOT_FOUND' ? null : error
    problemIsOfLooking = true
  }

  async function decide(
    name: AiVideoPending,
    send: (id: string, signal: AbortSignal) => Promise<AiVideoAnswer>,
  ): Promise<AiVideoJob | null> {
    const id = toValue(videoId)
    // A second click while the first is on its way asks for nothing new.
    if (!id || pending.value !== null) return null
    const own = halt()
    pending.value = name
    problem.value = null
    let answer: AiVideoAnswer
    try {
      answer = await send(id, own.signal)
    } catch (error) {
      if (own.signal.aborted) return null
      pending.value = null
      if (!(error instanceof AiVideoProblem)) throw error
      problem.value = error
      problemIsOfLooking = false
      // Refused because the job is not what is shown here: look what it is.
      if (error.status === 409) void look(true)
      else goOn(null)
      return null
    }
    if (own.signal.aborted) return null
    pending.value = null
    isStopped = false
    accept(answer, true)
    return job.value
  }

  async function estimate(wanted?: AiVideoOptions): Promise<AiVideoDryRun | null> {
    const id = toValue(videoId)
    estimating?.abort()
    if (!id) return null
    const own = (estimating = new AbortController())
    try {
      const found = await client().estimate(id, wanted, { signal: own.signal })
      if (own.signal.aborted) return null
      problem.value = null
      return found
    } catch (error) {
      if (own.signal.aborted) return null
      if (!(error instanceof AiVideoProblem)) throw error
      problem.value = error
      problemIsOfLooking = false
      return null
    }
  }

  function refresh({ fresh = false } = {}): Promise<void> {
    // A click that is on its way is not to be given up for a look: its answer brings the whole job, signed anew.
    return pending.value === null ? look(fresh) : Promise.resolve()
  }

  function wake(): void {
    if (isPaused()) return clearTimeout(timer)
    if (isStopped || pending.value !== null) return
    const known = job.value
    const isAtRest = known !== null && known.ai_generation_status !== 'processing' && connection.value === 'ok'
    if (isAtRest) goOn(null)
    else void look(false)
  }

  /** Forgets everything of another video. */
  function begin(): void {
    stop()
    estimating?.abort()
    job.value = problem.value = etag = renewedFor = null
    connection.value = 'ok'
    interval = minInterval
    failures = 0
    isLoading.value = auto && Boolean(toValue(videoId))
    if (auto) void look(false)
  }

  function listen(): void {
    document.addEventListener('visibilitychange', wake)
    window.addEventListener('online', wake)
    watch(() => toValue(videoId), begin, { flush: 'sync' })
    begin()
  }

  // Not while a page is rendered on a server: there is nobody to watch.
  if (getCurrentInstance()) onMounted(listen)
  else listen()

  if (getCurrentScope()) {
    onScopeDispose(() => {
      stop()
      estimating?.abort()
      document.removeEventListener('visibilitychange', wake)
      window.removeEventListener('online', wake)
    })
  }

  return {
    job,
    state: computed(() => (job.value ? stateOf(job.value) : isLoading.value ? 'loading' : 'idle')),
    percent: computed(() => job.value?.progress.percent ?? null),
    steps: computed(() => job.value?.steps ?? []),
    scenes: computed(() => job.value?.scenes ?? []),
    eta,
    elapsed,
    error: computed(() => job.value?.error ?? null),
    problem,
    connection: readonly(connection),
    pending: readonly(pending),
    estimate,
    start: (wanted, { force } = {}) => decide('start', (id, signal) => client().start(id, wanted, { force, signal })),
    retry: (changes) => decide('retry', (id, signal) => client().retry(id, changes, { signal })),
    approve: (beats) => decide('approve', (id, signal) => client().approve(id, beats, { signal })),
    cancel: () => decide('cancel', (id, signal) => client().cancel(id, { signal })),
    refresh,
    stop,
  }
}

function jittered(milliseconds: number): number {
  return milliseconds * (1 - JITTER + Math.random() * 2 * JITTER)
}
