/** The player beside addresses that come, go and expire: what of it no fixture and no state can show. */

import { flushPromises, mount } from '@vue/test-utils'
import { beforeEach, expect, test, vi } from 'vitest'

import AiVideoPlayer from '../src/components/AiVideoPlayer.vue'
import type { AiVideoJob } from '../src/types'
import { aJob } from './fakes'

const FIRST = 'https://bucket.example/video.mp4?signed=1'
const FRESH = 'https://bucket.example/video.mp4?signed=2'

beforeEach(() => {
  vi.spyOn(HTMLMediaElement.prototype, 'play').mockResolvedValue()
  vi.stubGlobal(
    'fetch',
    vi.fn(() => Promise.reject(new TypeError('Failed to fetch'))),
  )
})

function playing(address: string): AiVideoJob {
  const job = aJob('completed')
  job.media.video_url = address
  return job
}

function aPlayer(seconds: number) {
  const player = mount(AiVideoPlayer, { props: { job: playing(FIRST) } })
  const video = player.get('video')
  video.element.currentTime = seconds
  return { player, video }
}

test('what plays is not begun again for a newer address of the same video', async () => {
  const { player, video } = aPlayer(7)
  await player.setProps({ job: playing(FRESH) })

  expect(video.attributes('src')).toBe(FIRST)
})

test('what has not begun takes the newer address', async () => {
  const { player, video } = aPlayer(0)
  await player.setProps({ job: playing(FRESH) })

  expect(video.attributes('src')).toBe(FRESH)
})

test('an address that expires while it plays is replaced, and the video goes on where it was', async () => {
  const { player, video } = aPlayer(7)
  await video.trigger('error')
  expect(player.emitted('expired')).toHaveLength(1)
  const seeked = vi.spyOn(video.element, 'currentTime', 'set')
  await player.setProps({ job: playing(FRESH) })
  await flushPromises()

  expect(video.attributes('src')).toBe(FRESH)
  expect(seeked).toHaveBeenCalledWith(7)
  expect(player.find('[role="alert"]').exists()).toBe(false)
})

test('an address that fails again is asked for no second time, until somebody wants it', async () => {
  const { player, video } = aPlayer(0)
  await video.trigger('error')
  await video.trigger('error')
  expect(player.emitted('expired')).toHaveLength(1)
  await player.get('[role="alert"] button').trigger('click')

  expect(player.emitted('expired')).toHaveLength(2)
})
