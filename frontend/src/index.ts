/** Vue 3 components that make a video of a recording.  See README.md. */

import type { App } from 'vue'

import type { AiVideoClient } from './client'
import AiVideoBadge from './components/AiVideoBadge.vue'
import AiVideoGenerator from './components/AiVideoGenerator.vue'
import AiVideoProgress from './components/AiVideoProgress.vue'
import AiVideoSceneGrid from './components/AiVideoSceneGrid.vue'
import AiVideoSteps from './components/AiVideoSteps.vue'
import { AI_VIDEO_CLIENT } from './composables/useAiVideo'
import type { AiVideoMessages } from './i18n/en'
import { AI_VIDEO_MESSAGES } from './i18n/messages'
import './style.css'

export { createAiVideoClient } from './client'
export type { AiVideoAnswer, AiVideoClient, AiVideoClientOptions, DecideOptions, SendOptions } from './client'
export { AI_VIDEO_CLIENT, useAiVideo } from './composables/useAiVideo'
export type { AiVideoPending, UseAiVideo, UseAiVideoOptions } from './composables/useAiVideo'
export { etaBucket, useEta, type EtaBucket } from './composables/useEta'
export { en, type AiVideoMessageKey, type AiVideoMessages } from './i18n/en'
export { AI_VIDEO_MESSAGES } from './i18n/messages'
export { AiVideoProblem } from './problem'
export * from './types'
export { AiVideoBadge, AiVideoGenerator, AiVideoProgress, AiVideoSceneGrid, AiVideoSteps }

declare module 'vue' {
  /** Those that `install` registers: known to templates that do not import them. */
  interface GlobalComponents {
    AiVideoGenerator: typeof AiVideoGenerator
    AiVideoBadge: typeof AiVideoBadge
  }
}

/** `app.use({ install }, { client, messages })`: provides both, and registers the two that pages use by name. */
export function install(app: App, options: { client?: AiVideoClient; messages?: Partial<AiVideoMessages> } = {}): void {
  if (options.client) app.provide(AI_VIDEO_CLIENT, options.client)
  if (options.messages) app.provide(AI_VIDEO_MESSAGES, options.messages)
  app.component('AiVideoGenerator', AiVideoGenerator)
  app.component('AiVideoBadge', AiVideoBadge)
}
