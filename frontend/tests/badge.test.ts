import { mount } from '@vue/test-utils'
import { expect, test } from 'vitest'

import AiVideoBadge from '../src/components/AiVideoBadge.vue'
import { de } from '../src/i18n/de'
import { en } from '../src/i18n/en'
import type { AiVideoMessages } from '../src/i18n/en'
import type { AiVideoRow } from '../src/types'

/** A row whose scenes are being made, so many of them ready. */
function rendering(done: number, total: number): AiVideoRow {
  const tasks = Array.from({ length: total }, (_, index) => ({ status: index < done ? 'completed' : 'submitted' }))
  return {
    ai_project_type: 'ai_generated',
    ai_generation_status: 'processing',
    ai_generation_data: {
      processing_steps: { rendering: { status: 'processing' } },
      vertex_ai_tasks: Object.fromEntries(tasks.map((task, index) => [String(index), task])),
    },
  }
}

const textOf = (item: AiVideoRow, messages: Partial<AiVideoMessages>) =>
  mount(AiVideoBadge, { props: { item, messages } }).text()

test.each([
  [0, 1, '0 of 1 scene', '0 von 1 Szene'],
  [1, 1, '1 of 1 scene', '1 von 1 Szene'],
  [0, 2, '0 of 2 scenes', '0 von 2 Szenen'],
  [1, 9, '1 of 9 scenes', '1 von 9 Szenen'],
])('%d of %d scenes are counted as one says it', (done, total, english, german) => {
  const row = rendering(done, total)

  expect([textOf(row, en), textOf(row, de)]).toEqual([english, german])
})

test('a language with more forms than two brings its own', () => {
  const polish = {
    locale: 'pl',
    'badge.rendering.one': '{done} z {n} sceny',
    'badge.rendering.few': '{done} z {n} scen (kilku)',
    'badge.rendering.other': '{done} z {n} scen',
  }

  expect([1, 3, 12].map((total) => textOf(rendering(0, total), polish))).toEqual([
    '0 z 1 sceny',
    '0 z 3 scen (kilku)',
    '0 z 12 scen',
  ])
})
