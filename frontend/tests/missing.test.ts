/** The generator, while the file with its parts does not come. */

import { flushPromises, mount, type VueWrapper } from '@vue/test-utils'
import axe from 'axe-core'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'

import { createAiVideoClient } from '../src/client'
import AiVideoGenerator from '../src/components/AiVideoGenerator.vue'
import type * as Real from '../src/composables/useParts'
import { de } from '../src/i18n/de'
import { en } from '../src/i18n/en'
import * as file from '../src/parts'
import unauthenticated from '../../tests/fixtures/api/problem_unauthenticated.json'
import { aJob, answers, FakeApi, refuses, silence } from './fakes'

const download = vi.hoisted(() => vi.fn())
vi.mock('../src/composables/useParts', async (original) => {
  const { useParts } = await original<typeof Real>()
  return { useParts: () => useParts(download) }
})

let wrapper: VueWrapper | undefined
beforeEach(() => {
  download.mockReset().mockResolvedValue(file)
  vi.spyOn(document, 'visibilityState', 'get').mockReturnValue('visible')
})
afterEach(() => wrapper?.unmount())

async function shown(api: FakeApi, props: Record<string, unknown> = {}) {
  const client = createAiVideoClient({ baseUrl: 'https://api.example', fetch: api.fetch })
  wrapper = mount(AiVideoGenerator, { props: { videoId: 'video-1', client, ...props }, attachTo: document.body })
  await passes(0)
  return wrapper
}

/** A download that takes until `come` is called. */
function onItsWay() {
  let arrive: (parts: typeof file) => void = () => undefined
  download.mockReturnValue(new Promise((resolve) => (arrive = resolve)))
  return { come: () => arrive(file) }
}

async function passes(seconds: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(seconds * 1000)
  await flushPromises()
}

async function lost(api: FakeApi, props: Record<string, unknown> = {}) {
  vi.spyOn(console, 'error').mockReturnValue()
  download.mockReset().mockRejectedValue(new TypeError('Failed to fetch'))
  const page = await shown(api, props)
  await passes(60)
  return page
}

test('the parts are asked for while the server is', async () => {
  const api = new FakeApi(silence)
  await shown(api)

  expect(api.of('GET')).toHaveLength(1)
  expect(download).toHaveBeenCalledTimes(1)
})

test('nothing is downloaded at the moment when a job is done', async () => {
  const page = await shown(new FakeApi(answers(aJob('rendering')), answers(aJob('completed'))))
  expect(page.find('[role="progressbar"]').exists()).toBe(true)
  await passes(6)

  expect(page.find('video').exists()).toBe(true)
  expect(download).toHaveBeenCalledTimes(1)
})

test.each(['rendering', 'reviewing', 'completed', 'filtered', 'cancelled'] as const)(
  'a job that is %s is being loaded until its parts are there',
  async (name) => {
    const arrival = onItsWay()
    const page = await shown(new FakeApi(answers(aJob(name))))
    expect(page.text()).toBe(en.loading)
    expect(page.attributes('aria-busy')).toBe('true')
    arrival.come()
    await passes(0)

    expect(page.find('h2.ai-video-title, video').exists()).toBe(true)
    expect(page.attributes('aria-busy')).toBeUndefined()
  },
)

test('a refusal of the first look waits for its words, too', async () => {
  const arrival = onItsWay()
  const page = await shown(new FakeApi(refuses(unauthenticated)))
  expect(page.text()).toBe(en.loading)
  arrival.come()
  await passes(0)

  expect(page.get('[role="alert"]').text()).toContain('You are signed out')
})

test('while the download is tried again, the connection is said to be lost, and then all is as ever', async () => {
  download.mockRejectedValueOnce(new TypeError('Failed to fetch'))
  const page = await shown(new FakeApi(answers(aJob('completed'))))
  expect(page.text()).toBe(en['connection.reconnecting'])
  await passes(1)

  expect(page.find('video').exists()).toBe(true)
})

test.each([en, de])('in the end it is said what is wrong and what to do ($locale)', async (messages) => {
  const reload = vi.fn()
  vi.stubGlobal('location', { reload })
  const page = await lost(new FakeApi(answers(aJob('completed'))), { messages })
  const alert = page.get('[role="alert"]')
  expect(alert.text()).toContain(messages['missing.title'])
  expect(alert.text()).toContain(messages['missing.todo'])
  expect(alert.get('button').text()).toBe(messages['action.reload'])
  await alert.get('button').trigger('click')

  expect(reload).toHaveBeenCalledTimes(1)
})

test('what is missing is told without a fault of accessibility', async () => {
  const page = await lost(new FakeApi(answers(aJob('completed'))))
  vi.useRealTimers()
  const { violations } = await axe.run(page.element, {
    rules: { 'color-contrast': { enabled: false }, region: { enabled: false } },
  })

  expect(violations.map(({ id }) => id)).toEqual([])
})

test('what is missing comes when the network does', async () => {
  const page = await lost(new FakeApi(answers(aJob('completed'))))
  download.mockResolvedValue(file)
  window.dispatchEvent(new Event('online'))
  await passes(0)

  expect(page.find('video').exists()).toBe(true)
})

test('somebody who does not look at the page hears of the end of a job whose parts are missing', async () => {
  const page = await lost(new FakeApi(answers(aJob('rendering')), answers(aJob('completed'))))

  expect(page.emitted('completed')).toHaveLength(1)
})

test('the focus stays with what is loading, and goes on with it', async () => {
  const api = new FakeApi(answers(aJob('rendering')), silence)
  const page = await shown(api)
  ;(page.get('[data-action="cancel"]').element as HTMLElement).focus()
  await page.setProps({ videoId: 'video-2' })
  await passes(0)
  expect(document.activeElement?.textContent).toBe(en.loading)
  api.plan(answers(aJob('reviewing')))
  window.dispatchEvent(new Event('online'))
  await passes(0)

  expect(document.activeElement?.textContent).toBe(en['review.title'])
})
