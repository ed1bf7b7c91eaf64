/** What the API says, under the names that the components use.  Generated from docs/openapi.json: `npm run generate`. */

import type { components, operations } from './api-types'

type Schemas = components['schemas']

export type AiVideoJob = operations['getAiVideo']['responses'][200]['content']['application/json']
export type AiVideoStep = Schemas['StepView']
export type AiVideoScene = Schemas['SceneView']
export type AiVideoMedia = Schemas['MediaView']
export type AiVideoCost = Schemas['CostView']
export type AiVideoJobError = Schemas['ErrorView']
export type AiVideoDryRun = Schemas['DryRunView']
export type AiVideoEstimate = Schemas['EstimateView']
export type AiVideoOptions = Schemas['OptionsRequest']
export type AiVideoEdit = Schemas['BeatEdit']
export type AiVideoRequest = Schemas['VideoRequest']
export type AiVideoFieldError = Schemas['FieldError']
export type AiVideoAction = AiVideoJob['actions'][number]
export type SecondsRange = Schemas['SecondsRange']
export type UsdRange = Schemas['UsdRange']

/** What of a job a person sees first. */
export type AiVideoState = 'idle' | 'loading' | 'processing' | 'awaiting_review' | 'completed' | 'failed' | 'cancelled'

/** Whether the newest answer can be had.  It says nothing about the job. */
export type AiVideoConnection = 'ok' | 'reconnecting' | 'offline'

/**
 * A row of the platform's own list of videos: the attributes that tell of an AI video, as they are stored.
 *
 * A list may leave out parts of `ai_generation_data`; what is missing is not shown.  An `AiVideoJob` fits, too.
 */
export interface AiVideoRow {
  ai_project_type?: string | null
  ai_generation_status?: string | null
  ai_generation_data?: {
    processing_steps?: Record<string, { status?: string; error?: { code?: string } | null }>
    vertex_ai_tasks?: Record<string, { status?: string }>
  } | null
  progress?: { percent: number }
}

/** The state of a job that GET returned; also for a job without `useAiVideo`, in a list for instance. */
export function stateOf(job: AiVideoJob): Exclude<AiVideoState, 'idle' | 'loading'> {
  if (job.ai_generation_status === 'completed') return 'completed'
  if (job.ai_generation_status === 'failed') return job.error?.code === 'CANCELLED' ? 'cancelled' : 'failed'
  return job.phase === 'reviewing' ? 'awaiting_review' : 'processing'
}
