/** How a video is to be made: what a person chose, and what a job says was chosen. */

import type { AiVideoJob, AiVideoOptions } from './types'

/** Every option, with the API's own defaults where nothing was chosen. */
export type ChosenOptions = Required<AiVideoOptions>

export const DEFAULT_OPTIONS: ChosenOptions = {
  aspectRatio: '16:9',
  style: 'cinematic',
  language: 'auto',
  maxScenes: 75,
  reviewBeforeRender: false,
  onSceneFailure: 'fail',
  maxCostUsd: null,
  captions: true,
}

/** The options of a job as a request takes them: stored they have other names, and may lack what is newer. */
export function optionsOf(job: AiVideoJob): ChosenOptions {
  const stored = Object.entries(job.ai_generation_data.options).map(([name, value]) => [
    name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()),
    value as unknown,
  ])
  const known = stored.filter(([name]) => (name as string) in DEFAULT_OPTIONS)
  return { ...DEFAULT_OPTIONS, ...(Object.fromEntries(known) as AiVideoOptions) }
}
