import { flushPromises, mount, type VueWrapper } from '@vue/test-utils'
import { afterEach, expect, test, vi } from 'vitest'
import { defineComponent } from 'vue'

import { useParts } from '../src/composables/useParts'
import * as file from '../src/parts'

let wrapper: VueWrapper | undefined
afterEach(() => wrapper?.unmount())

const fails = () => Promise.reject(new TypeError('Failed to fetch dynamically imported module'))
const comes = () => Promise.resolve(file)

/** A component that needs the parts, where the first downloads go as planned and all others as the last of them. */
function needing(...planned: [() => Promise<typeof file>, ...(() => Promise<typeof file>)[]]) {
  const download = vi.fn(planned.at(-1))
  planned.slice(0, -1).forEach((one) => download.mockImplementationOnce(one))
  let used: ReturnType<typeof useParts> | undefined
  wrapper = mount(
    defineComponent(() => {
      used = useParts(download)
      return () => null
    }),
  )
  if (!used) throw new Error('the component was not set up')
  return { download, ...used }
}

const passes = (seconds: number) => vi.advanceTimersByTimeAsync(seconds * 1000)

test('they are downloaded once', async () => {
  const { download, parts, arrival } = needing(comes)
  expect(parts.value).toBeNull()
  await passes(600)

  expect(parts.value).toBe(file)
  expect(arrival.value).toBe('ok')
  expect(download).toHaveBeenCalledTimes(1)
})

test('a download that failed is tried again, a little later each time, and is said to be lost meanwhile', async () => {
  const { download, parts, arrival } = needing(fails, fails, fails, comes)
  const asked: number[] = []
  for (const seconds of [0.9, 0.2, 2.8, 0.2, 8.8]) {
    await passes(seconds)
    expect(arrival.value).toBe('reconnecting')
    asked.push(download.mock.calls.length)
  }
  await passes(0.2)

  expect(asked).toEqual([1, 2, 2, 3, 3])
  expect(parts.value).toBe(file)
  expect(arrival.value).toBe('ok')
})

test('what cannot be had is missing in the end, and the reason is there for whoever looks for it', async () => {
  const complained = vi.spyOn(console, 'error').mockReturnValue()
  const { download, parts, isMissing } = needing(fails)
  await passes(12)
  expect(isMissing.value).toBe(false)
  await passes(600)

  expect(parts.value).toBeNull()
  expect(isMissing.value).toBe(true)
  expect(download).toHaveBeenCalledTimes(4)
  expect(complained.mock.calls).toEqual([[expect.any(String), expect.any(TypeError)]])
})

test('when the network is back they are asked for at once, however often it failed before', async () => {
  vi.spyOn(console, 'error').mockReturnValue()
  const { download, parts, isMissing } = needing(fails, fails, fails, fails, comes)
  await passes(600)
  window.dispatchEvent(new Event('online'))
  await flushPromises()

  expect(download).toHaveBeenCalledTimes(5)
  expect(parts.value).toBe(file)
  expect(isMissing.value).toBe(false)
})

test('without a network nothing is missing, for a reload would take away even the page', async () => {
  vi.spyOn(navigator, 'onLine', 'get').mockReturnValue(false)
  const { download, arrival, isMissing } = needing(fails)
  await passes(600)

  expect(arrival.value).toBe('offline')
  expect(isMissing.value).toBe(false)
  expect(download.mock.calls.length).toBeGreaterThan(20)
})

test.each(['before it failed', 'after it failed'])('nobody tries for a component that is gone %s', async (when) => {
  const { download } = needing(fails)
  if (when === 'after it failed') await flushPromises()
  wrapper?.unmount()
  window.dispatchEvent(new Event('online'))
  await passes(600)

  expect(download).toHaveBeenCalledTimes(1)
})
