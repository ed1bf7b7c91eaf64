/** Why a request was not answered as it was meant.  A job that failed is none of these: it is an answer. */

import type { AiVideoEstimate, AiVideoFieldError } from './types'

/** The members of a problem (RFC 9457) as the API sends them; any may be missing when a gateway answered instead. */
interface ProblemMembers {
  code?: string
  title?: string
  detail?: string
  user_action?: string
  errors?: AiVideoFieldError[]
  retry_after_seconds?: number | null
  support_id?: string | null
  estimate?: AiVideoEstimate | null
  limit_usd?: number | null
}

/**
 * A request that was refused, or that nobody answered.
 *
 * `code` is stable: one of the API's, `HTTP_<status>` where a gateway answered in the API's place, or `UNREACHABLE`
 * (status 0) when there was no answer: no network, no permission to read it (CORS), or none within the time.
 */
export class AiVideoProblem extends Error {
  override readonly name = 'AiVideoProblem'
  readonly code: string
  readonly status: number
  readonly title: string
  readonly detail: string
  readonly user_action: string
  readonly errors: readonly AiVideoFieldError[]
  /** Seconds, or null when the API named none. */
  readonly retryAfter: number | null
  readonly supportId: string | null
  /** With COST_LIMIT_EXCEEDED: what it would take, and what is allowed. */
  readonly estimate: AiVideoEstimate | null
  readonly limitUsd: number | null

  constructor(status: number, members: ProblemMembers = {}, retryAfter: number | null = null, cause?: unknown) {
    const code = members.code ?? (status === 0 ? 'UNREACHABLE' : `HTTP_${status}`)
    super(members.detail ?? code, { cause })
    this.code = code
    this.status = status
    this.title = members.title ?? ''
    this.detail = members.detail ?? ''
    this.user_action = members.user_action ?? userActionOf(status)
    this.errors = members.errors ?? []
    this.retryAfter = retryAfter ?? members.retry_after_seconds ?? null
    this.supportId = members.support_id ?? null
    this.estimate = members.estimate ?? null
    this.limitUsd = members.limit_usd ?? null
  }

  /** Whether the same request may be answered a moment later. */
  get isTransient(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500
  }
}

function userActionOf(status: number): string {
  if (status === 401) return 'sign_in'
  return status === 0 || status === 429 || status >= 500 ? 'wait' : 'contact_admin'
}
