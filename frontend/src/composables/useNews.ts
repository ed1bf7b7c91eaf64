/** What of a job is worth interrupting somebody who listens instead of looking. */

import { computed, ref, toValue, watch, type ComputedRef, type MaybeRefOrGetter, type Ref } from 'vue'

import type { Words } from '../i18n/messages'
import { stateOf, type AiVideoJob } from '../types'

const QUARTER = 25

/** The headline of a job: what is being done now. */
export function headlineOf(job: AiVideoJob, { t }: Words): string {
  const state = stateOf(job)
  const { phase, steps, progress } = job
  if (state === 'cancelled') return t('phase.cancelled')
  if (steps[0]?.status === 'waiting') return t('phase.queued')
  if (phase === 'rendering') {
    const { scenes_done: done, scenes_total: total } = progress
    return total ? t('phase.rendering', { n: Math.min(done + 1, total), total }) : t('phase.rendering.some')
  }
  return isPhase(phase) ? t(`phase.${phase}`) : phase
}

const PHASES = ['transcribing', 'planning', 'reviewing', 'assembling', 'completed', 'failed'] as const

function isPhase(phase: string): phase is (typeof PHASES)[number] {
  return (PHASES as readonly string[]).includes(phase)
}

/**
 * A line for a polite live region: a new phase, each quarter, a scene that is tried again, the end.
 *
 * A failure is not told here: it stands in an alert of its own.
 */
export function useNews(
  source: MaybeRefOrGetter<AiVideoJob | null | undefined>,
  words: ComputedRef<Words>,
): Readonly<Ref<string>> {
  const news = ref('')
  const job = computed(() => toValue(source) ?? null)

  watch(job, (now, before) => {
    // What is there when somebody comes is read by them; only changes are told.
    if (!now || !before) return
    const state = stateOf(now)
    if (state === 'failed') return
    const { t } = words.value
    if (state !== stateOf(before) || now.phase !== before.phase) {
      news.value = headlineOf(now, words.value)
      return
    }
    const retried = now.scenes.find((scene, index) => {
      const earlier = before.scenes[index]
      return (
        scene.status === 'submitted' && scene.attempt > 1 && earlier !== undefined && scene.attempt > earlier.attempt
      )
    })
    if (retried) {
      const title = t('scene.title', { n: retried.scene_index + 1 })
      news.value = `${title}: ${t('scene.retrying', { n: retried.attempt, total: retried.max_attempts })}`
      return
    }
    const quarter = Math.floor(now.progress.percent / QUARTER)
    if (quarter > Math.floor(before.progress.percent / QUARTER)) {
      news.value = t('progress.percent', { n: quarter * QUARTER })
    }
  })

  return news
}
