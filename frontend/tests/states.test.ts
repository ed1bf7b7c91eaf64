/** Every state that can be shown: no fault of accessibility in any, and exactly the server's actions. */

import { flushPromises, mount } from '@vue/test-utils'
import axe from 'axe-core'
import { afterEach, describe, expect, test, vi } from 'vitest'

import AiVideoBadge from '../src/components/AiVideoBadge.vue'
import AiVideoConfirm from '../src/components/AiVideoConfirm.vue'
import AiVideoGenerator from '../src/components/AiVideoGenerator.vue'
import AiVideoProgress from '../src/components/AiVideoProgress.vue'
import { de } from '../src/i18n/de'
import type { AiVideoDryRun, AiVideoJob } from '../src/types'
import dryRun from '../../tests/fixtures/api/dry_run.json'
import { exampleClient, EXAMPLES, type Example } from '../states/examples'
import { aJob } from './fakes'

let unmount: () => void = () => undefined
afterEach(() => unmount())

async function shown(example: Example) {
  const wrapper = mount(AiVideoGenerator, {
    props: { videoId: 'video-1', client: exampleClient(example), notifications: true },
    attachTo: document.body,
  })
  unmount = () => wrapper.unmount()
  await flushPromises()
  return wrapper
}

/** What axe finds wrong.  Colours are measured in a real browser (`npm run check:states`): jsdom draws nothing. */
async function faults(element: Element): Promise<string[]> {
  vi.useRealTimers()
  const { violations } = await axe.run(element, {
    rules: { 'color-contrast': { enabled: false }, region: { enabled: false } },
  })
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`)
}

describe.each(Object.entries(EXAMPLES))('%s', (_, example) => {
  test('has no fault of accessibility', async () => {
    const wrapper = await shown(example)

    expect(await faults(wrapper.element)).toEqual([])
  })

  test('offers what the server offers, in its order, and nothing else', async () => {
    const job: AiVideoJob | null = await Promise.race([example.look(), Promise.resolve(null)]).catch(() => null)
    const wrapper = await shown(example)

    const offered = wrapper.findAll('[data-action]').map((button) => button.attributes('data-action'))
    expect(offered).toEqual(job?.actions ?? [])
  })

  test('has no text that is not among the messages or in the job', async () => {
    const job: unknown = await Promise.race([example.look(), Promise.resolve(null)]).catch((error: unknown) => error)
    const marked = Object.fromEntries(
      Object.entries(de).map(([key, text]) => [key, key === 'locale' ? text : `⟦${text}⟧`]),
    )
    const wrapper = mount(AiVideoGenerator, {
      props: { videoId: 'video-1', client: exampleClient(example), messages: marked },
    })
    unmount = () => wrapper.unmount()
    await flushPromises()

    // The browser itself names languages, in that of the messages.
    wrapper.findAll('option').forEach((option) => option.element.remove())
    let rest = wrapper.text()
    for (let outer = ''; outer !== rest;) {
      outer = rest
      rest = rest.replace(/⟦[^⟦⟧]*⟧/g, '\n')
    }
    const own = JSON.stringify(job)
    const texts = rest.split('\n').map((text) => text.replace(/^[\s\d:·–,.$]+|\s+$/g, ''))
    const foreign = texts.filter((text) => /\p{L}{2}/u.test(text) && !own.includes(text))
    expect(foreign).toEqual([])
  })
})

test.each(['started', 'rendering', 'reviewing', 'completed', 'filtered', 'cancelled'] as const)(
  'the badge of a row that is %s has no fault of accessibility',
  async (name) => {
    const wrapper = mount(AiVideoBadge, { props: { item: aJob(name) }, attachTo: document.body })
    unmount = () => wrapper.unmount()

    expect(await faults(wrapper.element)).toEqual([])
  },
)

test('the question before money is spent has no fault of accessibility', async () => {
  const wrapper = mount(AiVideoConfirm, {
    props: { open: true, dryRun: dryRun as unknown as AiVideoDryRun, limitUsd: 10 },
    attachTo: document.body,
  })
  unmount = () => wrapper.unmount()
  await flushPromises()

  expect(await faults(wrapper.element)).toEqual([])
})

test.each(['reconnecting', 'offline'] as const)('%s has no fault of accessibility', async (connection) => {
  const wrapper = mount(AiVideoProgress, { props: { job: aJob('rendering'), connection }, attachTo: document.body })
  unmount = () => wrapper.unmount()

  expect(await faults(wrapper.element)).toEqual([])
})
