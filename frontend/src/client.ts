/** Requests to the API, and what is done about a lost answer or an old token.  It keeps no state between requests. */

import { AiVideoProblem } from './problem'
import type { AiVideoDryRun, AiVideoEdit, AiVideoJob, AiVideoOptions, AiVideoRequest } from './types'

// API Gateway ends an integration after 29 s by default (quotas page, read 2026-11), so nothing comes after this.
const ANSWERED_WITHIN_MS = 30_000

// A click whose answer was lost is sent again, with its key: after the second pause somebody has to click.
const RESEND_AFTER_MS = [1_000, 3_000]

// Answers of a gateway that do not say whether the request was carried out.
const UNCERTAIN = new Set([0, 500, 502, 504])

export interface AiVideoClientOptions {
  /** Of the API's stage, without `/ai-video`. */
  baseUrl: string
  /**
   * The token of the signed-in user, or null when nobody is.  Left out where a cookie of the same origin signs in.
   *
   * `forceRefresh` is set after a 401, once for each request.  It rejects when the token cannot be had for now (the
   * network is gone); that counts as an unreachable API, not as a signed-out user.
   */
  getToken?: (options: { forceRefresh: boolean }) => Promise<string | null | undefined> | string | null | undefined
  fetch?: typeof globalThis.fetch
}

export interface SendOptions {
  signal?: AbortSignal
}

export interface DecideOptions extends SendOptions {
  /** Of one click.  A fresh UUID, unless a caller repeats a click of its own. */
  idempotencyKey?: string
}

/** An answer that carries a job, or says with 304 that it is the one already known. */
export interface AiVideoAnswer {
  /** Null when nothing has changed. */
  job: AiVideoJob | null
  etag: string | null
  /** Seconds, from the header or else the body; null when neither names any. */
  retryAfter: number | null
}

export interface AiVideoClient {
  get(videoId: string, options?: SendOptions & { etag?: string | null }): Promise<AiVideoAnswer>
  /** Checks everything and says what it would take; nothing is written or spent. */
  estimate(videoId: string, options?: AiVideoOptions, send?: SendOptions): Promise<AiVideoDryRun>
  /** `force` makes a finished video anew, at full price. */
  start(videoId: string, options?: AiVideoOptions, send?: DecideOptions & { force?: boolean }): Promise<AiVideoAnswer>
  retry(
    videoId: string,
    changes?: { sceneBeats?: AiVideoEdit[]; maxCostUsd?: number },
    send?: DecideOptions,
  ): Promise<AiVideoAnswer>
  approve(videoId: string, sceneBeats?: AiVideoEdit[], send?: DecideOptions): Promise<AiVideoAnswer>
  cancel(videoId: string, send?: DecideOptions): Promise<AiVideoAnswer>
}

/**
 * A client for one deployment of the API.
 *
 * Every method rejects with an `AiVideoProblem`, or with the signal's reason when it was aborted.
 */
export function createAiVideoClient(options: AiVideoClientOptions): AiVideoClient {
  const url = `${options.baseUrl.replace(/\/+$/, '')}/ai-video`
  // Looked up at each request: a page may replace it later, as tests and tracing do.
  const send: Send = (address, init) => (options.fetch ?? globalThis.fetch)(address, init)

  async function attempt(address: string, init: RequestInit, forceRefresh: boolean): Promise<Response> {
    const response = await inTime(async (signal) => {
      const headers = new Headers(init.headers)
      const bearer = await options.getToken?.({ forceRefresh })
      if (bearer) headers.set('Authorization', `Bearer ${bearer}`)
      // While a token was fetched, nobody may have been left to ask for.
      signal.throwIfAborted()
      const answer = await send(address, { ...init, headers, signal })
      // Read within the time, too.  (A 304 has no body, and a Response may not be made with one.)
      return new Response(answer.status === 304 || answer.status === 204 ? null : await answer.text(), answer)
    }, init.signal)
    if (response.status === 401 && options.getToken && !forceRefresh) return attempt(address, init, true)
    if (!response.ok && response.status !== 304) throw await problemOf(response)
    return response
  }

  async function post<Body>(
    body: AiVideoRequest,
    read: (response: Response) => Promise<Body>,
    { signal, idempotencyKey }: DecideOptions,
  ): Promise<Body> {
    const headers: Record<string, string> = { 'Content-Type': 'application/json' }
    if (idempotencyKey) headers['Idempotency-Key'] = idempotencyKey
    for (let sent = 0; ; sent += 1) {
      try {
        return await read(await attempt(url, { method: 'POST', body: JSON.stringify(body), headers, signal }, false))
      } catch (error) {
        const pause = RESEND_AFTER_MS[sent]
        if (!(error instanceof AiVideoProblem) || !UNCERTAIN.has(error.status) || pause === undefined) throw error
        await passed(pause, signal)
      }
    }
  }

  const decide = (body: AiVideoRequest, options: DecideOptions = {}) =>
    post(body, answerOf, { ...options, idempotencyKey: options.idempotencyKey ?? newKey() })

  return {
    async get(videoId, { etag, signal } = {}) {
      const headers: Record<string, string> = etag ? { 'If-None-Match': etag } : {}
      // The browser's own cache would answer a 304 with a body, and hide that nothing has changed.
      const init: RequestInit = { headers, signal, cache: 'no-store' }
      return answerOf(await attempt(`${url}?videoId=${encodeURIComponent(videoId)}`, init, false))
    },
    estimate: (videoId, options, send = {}) =>
      post({ videoId, dryRun: true, ...given({ options }) }, bodyOf<AiVideoDryRun>, { signal: send.signal }),
    start: (videoId, options, { force, ...send } = {}) =>
      decide({ videoId, ...given({ options, force: force || undefined }) }, send),
    retry: (videoId, { sceneBeats, maxCostUsd } = {}, send) =>
      decide(
        {
          videoId,
          action: 'retry',
          ...given({ sceneBeats, options: maxCostUsd === undefined ? undefined : { maxCostUsd } }),
        },
        send,
      ),
    approve: (videoId, sceneBeats, send) => decide({ videoId, action: 'approve', ...given({ sceneBeats }) }, send),
    cancel: (videoId, send) => decide({ videoId, action: 'cancel' }, send),
  }
}

type Send = (address: string, init: RequestInit) => Promise<Response>

/** The members that are not undefined: the API refuses what does not belong to an action. */
function given<Members extends object>(members: Members): Partial<Members> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Partial<Members>
}

/**
 * What `work` comes to, or UNREACHABLE when it fails or takes too long; the reason of `outer` when that was aborted.
 *
 * A connection that died while the machine slept answers never, and a token that is fetched over it comes never; waiting
 * for either, nothing would ever be asked again.
 */
async function inTime<Result>(
  work: (signal: AbortSignal) => Promise<Result>,
  outer?: AbortSignal | null,
): Promise<Result> {
  outer?.throwIfAborted()
  const abort = new AbortController()
  const stop = () => abort.abort()
  outer?.addEventListener('abort', stop)
  const timer = setTimeout(stop, ANSWERED_WITHIN_MS)
  try {
    const isOver = new Promise<never>((_, reject) => abort.signal.addEventListener('abort', reject))
    return await Promise.race([work(abort.signal), isOver])
  } catch (error) {
    outer?.throwIfAborted()
    throw new AiVideoProblem(0, {}, null, error)
  } finally {
    clearTimeout(timer)
    outer?.removeEventListener('abort', stop)
  }
}

async function answerOf(response: Response): Promise<AiVideoAnswer> {
  const job = response.status === 304 ? null : await bodyOf<AiVideoJob>(response)
  return {
    job,
    etag: response.headers.get('ETag'),
    retryAfter: retryAfterOf(response) ?? job?.poll_after_seconds ?? null,
  }
}

/** The body, or UNREACHABLE: a captive portal answers 200 with a page, and the API's answer is still to be had. */
async function bodyOf<Body extends object>(response: Response): Promise<Body> {
  const body: unknown = await response.json().catch((): unknown => null)
  if (typeof body !== 'object' || body === null) throw new AiVideoProblem(0)
  return body as Body
}

async function problemOf(response: Response): Promise<AiVideoProblem> {
  const isProblem = response.headers.get('Content-Type')?.includes('application/problem+json') ?? false
  const members: unknown = isProblem ? await response.json().catch((): unknown => null) : null
  return new AiVideoProblem(response.status, (members ?? {}) as object, retryAfterOf(response))
}

/** Seconds; the header may also be a date (RFC 9110, 10.2.3). */
function retryAfterOf(response: Response): number | null {
  const header = response.headers.get('Retry-After')
  if (header === null) return null
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000
  return Number.isFinite(seconds) ? Math.max(0, seconds) : null
}

function passed(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop)
      resolve()
    }, milliseconds)
    if (signal?.aborted) stop()
    else signal?.addEventListener('abort', stop)
  })
}

/** `crypto.randomUUID` exists in secure contexts only, and a page of a local network is none. */
function newKey(): string {
  if (typeof crypto.randomUUID === 'function') return crypto.randomUUID()
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
