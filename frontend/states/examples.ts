/** Every state that a person can meet, made from the fixtures that the Python tests use, too. */

import dryRun from '../../tests/fixtures/api/dry_run.json'
import cancelled from '../../tests/fixtures/api/cancelled.json'
import completed from '../../tests/fixtures/api/completed.json'
import filtered from '../../tests/fixtures/api/failed_filtered.json'
import costLimit from '../../tests/fixtures/api/problem_cost_limit_exceeded.json'
import jobNotFound from '../../tests/fixtures/api/problem_job_not_found.json'
import unauthenticated from '../../tests/fixtures/api/problem_unauthenticated.json'
import videoNotFound from '../../tests/fixtures/api/problem_video_not_found.json'
import rendering from '../../tests/fixtures/api/rendering.json'
import reviewing from '../../tests/fixtures/api/reviewing.json'
import started from '../../tests/fixtures/api/started.json'
import type { AiVideoAnswer, AiVideoClient } from '../src/client'
import { AiVideoProblem } from '../src/problem'
import type { AiVideoDryRun, AiVideoJob, AiVideoScene } from '../src/types'

/** One state: what the server answers to a look, and to a dry run. */
export interface Example {
  title: string
  look: () => Promise<AiVideoJob>
  dryRun?: () => Promise<AiVideoDryRun>
}

const never = () => new Promise<never>(() => undefined)
const problem = (body: { status: number }) => () => Promise.reject(new AiVideoProblem(body.status, body as object))

const STORY = [
  [
    'Once upon a time there was a lighthouse at the end of a long stone pier.',
    'A lighthouse at dusk, seen from a small boat, long calm waves, warm light in the lantern room',
  ],
  [
    'Its keeper counted the ships that passed, and gave each of them a name.',
    'An old keeper at a desk by a round window, writing in a thick book, ships on the horizon',
  ],
  [
    'One night the fog came so thick that no light could pass it.',
    'Dense fog rolling over black rocks, the beam of the lighthouse fading after a few metres',
  ],
  [
    'So he rang the bell, every minute, until the morning.',
    'Close view of a large bronze bell in a stone tower, rope in motion, drops of water in the air',
  ],
  [
    'And out of the grey, one after the other, they answered him.',
    'Silhouettes of five ships appearing in pale morning fog, seen from above',
  ],
  ['', 'Slow pan over a quiet harbour at sunrise, nets drying, gulls on the wall'],
  [
    'Since that day nobody in the village sleeps without the bell.',
    'A village of white houses above a bay, blue hour, windows lit one by one',
  ],
  [
    'Children set their steps by it, and old people their thoughts.',
    'Children running along a narrow lane in the evening, long shadows, a tower in the distance',
  ],
  [
    'And if you listen closely, you can hear it still.',
    'The lighthouse from far away under the first stars, a single warm light',
  ],
] as const

const SCENE_SECONDS = 7.25

/** A drawn picture in place of a clip's first frame: the fixtures' addresses lead nowhere. */
export function picture(index: number, ratio: string): string {
  const [width, height] = ratio === '9:16' ? [180, 320] : [320, 180]
  const hue = (205 + index * 23) % 360
  const horizon = Math.round(height * (0.55 + 0.1 * Math.sin(index)))
  const sun = Math.round(width * (0.2 + 0.6 * ((index * 0.37) % 1)))
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}">
<linearGradient id="g" x2="0" y2="1"><stop stop-color="hsl(${hue} 45% 32%)"/><stop offset="1" stop-color="hsl(${hue + 30} 55% 72%)"/></linearGradient>
<rect width="${width}" height="${height}" fill="url(#g)"/><circle cx="${sun}" cy="${horizon - 30}" r="18" fill="hsl(45 90% 88%)"/>
<path d="M0 ${horizon}q${width / 4} -14 ${width / 2} 0t${width / 2} 0V${height}H0z" fill="hsl(${hue} 40% 24%)"/></svg>`
  return `data:image/svg+xml,${encodeURIComponent(svg)}`
}

/** A job of the fixtures; they are wider in type than what they hold. */
function job(fixture: unknown, change: (draft: AiVideoJob) => void = () => undefined): AiVideoJob {
  const draft = structuredClone(fixture) as AiVideoJob
  // As if it had been answered just now, and its addresses were good for a while.
  if (draft.urls_expire_at) draft.urls_expire_at = new Date(Date.now() + 3_600_000).toISOString()
  change(draft)
  return draft
}

/** The story's nine scenes in place of the fixture's three, in the states that `statusOf` says. */
function withStory(draft: AiVideoJob, statusOf: (index: number) => Partial<AiVideoScene>): void {
  const [model] = draft.scenes
  if (!model) throw new Error('the fixture has no scene to make others of')
  draft.ai_generation_data.title = 'The bell in the fog'
  draft.scenes = STORY.map(([narration, prompt], index) => {
    const scene: AiVideoScene = {
      ...model,
      scene_index: index,
      start_seconds: index * SCENE_SECONDS,
      end_seconds: (index + 1) * SCENE_SECONDS,
      narration,
      visual_prompt: prompt,
      ...statusOf(index),
    }
    return {
      ...scene,
      thumbnail_url: scene.status === 'completed' ? picture(index, '16:9') : null,
      preview_url: null,
    }
  })
  const done = draft.scenes.filter((scene) => scene.status === 'completed').length
  draft.progress = { ...draft.progress, scenes_done: done, scenes_total: STORY.length }
}

const DONE = { status: 'completed', is_editable: false } as const
const UNDER_WAY = { status: 'submitted', attempt: 1, is_editable: false } as const
const WAITING = { status: 'waiting', attempt: 0, is_editable: true } as const

function half(change: (draft: AiVideoJob) => void = () => undefined): AiVideoJob {
  return job(rendering, (draft) => {
    withStory(draft, (index) => (index < 4 ? DONE : index < 7 ? UNDER_WAY : WAITING))
    draft.progress = { ...draft.progress, percent: 46, elapsed_seconds: 132, eta_seconds: { low: 150, high: 280 } }
    draft.cost = { ...draft.cost, estimated_usd: 7.4, accrued_usd: 3.2 }
    change(draft)
  })
}

function pace(name: AiVideoJob['progress']['pace'], change: (draft: AiVideoJob) => void = () => undefined): AiVideoJob {
  return half((draft) => {
    draft.progress.pace = name
    change(draft)
  })
}

function failed(change: (draft: AiVideoJob) => void): AiVideoJob {
  return job(filtered, (draft) => {
    withStory(draft, (index) => (index < 6 && index !== 2 ? DONE : WAITING))
    draft.cost = { ...draft.cost, estimated_usd: 7.4, accrued_usd: 4.8 }
    change(draft)
  })
}

const shows = (example: AiVideoJob) => () => Promise.resolve(example)
const estimated = () => Promise.resolve(structuredClone(dryRun) as unknown as AiVideoDryRun)
const isNotThere = problem(jobNotFound)

export const EXAMPLES: Record<string, Example> = {
  empty: { title: 'Nothing was asked for yet', look: isNotThere, dryRun: estimated },
  estimating: { title: 'The price is being worked out', look: isNotThere, dryRun: never },
  'cost-limit': { title: 'It would cost more than is allowed', look: isNotThere, dryRun: problem(costLimit) },
  'not-audio': {
    title: 'The file is no recording',
    look: isNotThere,
    dryRun: problem({
      status: 422,
      ...{
        code: 'NOT_AUDIO',
        title: 'The file is no recording',
        detail: 'the file is a PNG image',
        user_action: 'upload_other_audio',
      },
    }),
  },
  loading: { title: 'The first look is on its way', look: never },
  queued: {
    title: 'Waiting for its turn',
    look: shows(
      job(started, (draft) => {
        draft.steps.forEach((step) => (step.status = 'waiting'))
      }),
    ),
  },
  transcribing: { title: 'Just started', look: shows(job(started)) },
  rendering: { title: 'Half way', look: shows(half()) },
  retrying: {
    title: 'A scene is tried again, and another has other words',
    look: shows(
      half((draft) => {
        Object.assign(draft.scenes[4] ?? {}, { attempt: 2 })
        Object.assign(draft.scenes[1] ?? {}, { is_adjusted: true })
      }),
    ),
  },
  'waiting-for-quota': { title: 'The video model has no room', look: shows(pace('waiting_for_quota')) },
  'longer-than-usual': {
    title: 'A long wait',
    look: shows(
      pace('longer_than_usual', (draft) => {
        draft.progress = { ...draft.progress, elapsed_seconds: 1510, eta_seconds: null }
      }),
    ),
  },
  stalled: { title: 'Nothing has moved for a while', look: shows(pace('stalled')) },
  'finishing-soon': {
    title: 'The last step',
    look: shows(
      job(rendering, (draft) => {
        withStory(draft, () => DONE)
        draft.phase = 'assembling'
        draft.steps.forEach((step, index) => (step.status = index < 3 ? 'completed' : 'processing'))
        draft.progress = {
          ...draft.progress,
          step_index: 4,
          percent: 97,
          elapsed_seconds: 340,
          eta_seconds: { low: 4, high: 20 },
          pace: 'finishing_soon',
        }
        draft.cost = { ...draft.cost, estimated_usd: 7.4, accrued_usd: 7.4 }
      }),
    ),
  },
  reviewing: {
    title: 'The scenes wait for approval',
    look: shows(
      job(reviewing, (draft) => {
        withStory(draft, () => WAITING)
        draft.scenes.length = 4
        draft.cost = { ...draft.cost, estimated_usd: 3.2 }
      }),
    ),
  },
  completed: {
    title: 'Done',
    look: shows(
      job(completed, (draft) => {
        draft.ai_generation_data.title = 'The bell in the fog'
        draft.media = { ...draft.media, video_url: null, captions_url: null, poster_url: picture(0, '16:9') }
      }),
    ),
  },
  'completed-with-warnings': {
    title: 'Done, with something to know, tall',
    look: shows(
      job(completed, (draft) => {
        draft.ai_generation_data.options.aspect_ratio = '9:16'
        draft.media = { ...draft.media, video_url: null, captions_url: null, poster_url: picture(3, '9:16') }
        draft.warnings = [
          { code: 'SCENE_SUBSTITUTED', message: 'Scene 3 could not be made; a still picture stands in its place.' },
        ]
      }),
    ),
  },
  'failed-filtered': {
    title: 'One scene was refused',
    look: shows(
      failed((draft) => {
        const { error } = draft
        if (error) draft.error = { ...error, scene_index: 2, category: 'violence' }
        Object.assign(draft.scenes[2] ?? {}, {
          status: 'failed',
          error: { code: 'CONTENT_FILTERED', message: error?.message ?? '', user_action: 'edit_scene' },
        })
      }),
    ),
  },
  'failed-limit': {
    title: 'The limit was reached',
    look: shows(
      failed((draft) => {
        if (!draft.error) return
        draft.error = {
          ...draft.error,
          code: 'COST_LIMIT_REACHED',
          message: 'Scene 7 would cost $0.80, and of the limit of $5.00 only $0.20 is left.',
          scene_index: 6,
          user_action: 'raise_limit',
        }
        draft.cost.limit_usd = 5
      }),
    ),
  },
  'failed-for-good': {
    title: 'Only the operator can help',
    look: shows(
      failed((draft) => {
        if (!draft.error) return
        draft.error = {
          ...draft.error,
          code: 'MODEL_UNAVAILABLE',
          message: 'The configured model is not available; its operator has to choose another.',
          scene_index: null,
          retryable: false,
          user_action: 'contact_admin',
        }
        draft.scenes = []
        draft.cost = { ...draft.cost, accrued_usd: 0, estimated_usd: 7.4 }
      }),
    ),
  },
  cancelled: {
    title: 'Cancelled',
    look: shows(
      job(cancelled, (draft) => {
        withStory(draft, (index) => (index < 2 ? DONE : WAITING))
        draft.cost = { ...draft.cost, accrued_usd: 1.6, estimated_usd: 7.4 }
      }),
    ),
  },
  'signed-out': { title: 'Signed out', look: problem(unauthenticated) },
  'not-found': { title: 'No such video', look: problem(videoNotFound) },
}

/** Answers every look and dry run of one example, and nothing else. */
export function exampleClient({ look, dryRun = never }: Example): AiVideoClient {
  const answer = async (): Promise<AiVideoAnswer> => ({ job: await look(), etag: null, retryAfter: 3600 })
  return {
    get: answer,
    estimate: dryRun,
    start: never,
    retry: never,
    approve: never,
    cancel: never,
  }
}

/** A job from its first step to the last, with whatever may come between. */
export function comingOn(): AiVideoJob[] {
  const paces = ['on_track', 'waiting_for_quota', 'longer_than_usual', 'stalled', 'finishing_soon'] as const
  return Array.from({ length: 20 }, (_, step) =>
    half((draft) => {
      const done = Math.floor(step / 2)
      withStory(draft, (index) =>
        index < done ? DONE : index < done + 3 ? { ...UNDER_WAY, attempt: 1 + (step % 3) } : WAITING,
      )
      draft.revision += step
      const current = Math.floor((step * draft.steps.length) / 20)
      draft.steps.forEach((one, index) => {
        one.status = index < current ? 'completed' : index === current ? 'processing' : 'waiting'
        one.attempt = step % 2
      })
      draft.phase = draft.steps[current]?.id ?? draft.phase
      draft.progress.percent = 8 + step * 4
      draft.progress.elapsed_seconds = step * step * 30
      draft.progress.pace = paces[step % paces.length] ?? 'on_track'
      draft.progress.eta_seconds = step % 4 === 3 ? null : { low: 600 - step * 30, high: 1500 - step * 70 }
      draft.cost.accrued_usd = step * 0.8
      draft.cost.estimated_usd = 16
    }),
  )
}
