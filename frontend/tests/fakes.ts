/** An API that answers what a test says, and remembers what it was asked. */

import type { AiVideoJob } from '../src/types'
import cancelled from '../../tests/fixtures/api/cancelled.json'
import completed from '../../tests/fixtures/api/completed.json'
import filtered from '../../tests/fixtures/api/failed_filtered.json'
import rendering from '../../tests/fixtures/api/rendering.json'
import reviewing from '../../tests/fixtures/api/reviewing.json'
import started from '../../tests/fixtures/api/started.json'

const FIXTURES = { cancelled, completed, filtered, rendering, reviewing, started }

/** A job of the shared fixtures, changed as a test needs it. */
export function aJob(name: keyof typeof FIXTURES, change: Partial<AiVideoJob> = {}): AiVideoJob {
  return { ...structuredClone(FIXTURES[name]), ...change } as unknown as AiVideoJob
}

export interface Asked {
  method: string
  url: string
  headers: Headers
  body: Record<string, unknown> | null
  signal: AbortSignal
}

type Answer = (asked: Asked) => Response | Promise<Response>

export function answers(job: AiVideoJob, headers: Record<string, string> = {}): Answer {
  return () => Response.json(job, { headers: { ETag: `W/"${job.revision}"`, ...headers } })
}

export const unchanged: Answer = () => new Response(null, { status: 304 })

export function refuses(problem: { status: number }, headers: Record<string, string> = {}): Answer {
  return () =>
    new Response(JSON.stringify(problem), {
      status: problem.status,
      headers: { 'Content-Type': 'application/problem+json', ...headers },
    })
}

/** A gateway in front of the API: no problem details, and nothing about the request. */
export function gateway(status: number, headers: Record<string, string> = {}): Answer {
  return () => new Response('{"message": "…"}', { status, headers: { 'Content-Type': 'application/json', ...headers } })
}

export const unreachable: Answer = () => Promise.reject(new TypeError('Failed to fetch'))

/** Nobody answers; what gives up is told so, as by a real fetch. */
export const silence: Answer = ({ signal }) =>
  new Promise((_, reject) => {
    const giveUp = () => reject(signal.reason as Error)
    if (signal.aborted) giveUp()
    else signal.addEventListener('abort', giveUp)
  })

export class FakeApi {
  readonly asked: Asked[] = []
  private readonly planned: Answer[]

  /** Answers in this order, and the last one from then on. */
  constructor(...planned: Answer[]) {
    this.planned = planned
  }

  plan(...planned: Answer[]): void {
    this.planned.splice(0, this.planned.length, ...planned)
  }

  readonly fetch = (url: RequestInfo | URL, init: RequestInit = {}): Promise<Response> => {
    const asked: Asked = {
      method: init.method ?? 'GET',
      url: String(url),
      headers: new Headers(init.headers),
      body: typeof init.body === 'string' ? (JSON.parse(init.body) as Record<string, unknown>) : null,
      signal: init.signal ?? new AbortController().signal,
    }
    this.asked.push(asked)
    const answer = this.planned.length > 1 ? this.planned.shift() : this.planned[0]
    if (!answer) throw new Error(`nothing planned for ${asked.method} ${asked.url}`)
    return Promise.resolve(answer(asked))
  }

  of(method: string): Asked[] {
    return this.asked.filter((asked) => asked.method === method)
  }
}
