/** The gallery's list: how often it asks, and in whose name. */

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { effectScope, ref, type EffectScope } from 'vue'

import { authorised, session } from '../../demo/session'
import { useVideos, type Video } from '../../demo/videos'

const ADA = { user: { id: 'ada', name: 'Ada' }, token: 'first' }

const aVideo = (status?: string): Video => ({
  videoId: 'video-1',
  title: 'reading.mp3',
  kind: 'audio',
  created_at: '2026-11-22T12:00:00Z',
  url: '/media/reading.mp3',
  duration_seconds: 8,
  ...(status ? { ai_project_type: 'ai_generated', ai_generation_status: status } : {}),
})

const asked: string[] = []
let answer: () => Response
let visibility: DocumentVisibilityState
let scope: EffectScope

beforeEach(() => {
  asked.length = 0
  visibility = 'visible'
  answer = () => Response.json({ videos: [aVideo('processing'), aVideo('processing'), aVideo()] })
  vi.spyOn(document, 'visibilityState', 'get').mockImplementation(() => visibility)
  vi.stubGlobal('fetch', async (address: string, init?: RequestInit) => {
    asked.push(`${address} ${new Headers(init?.headers).get('Authorization') ?? ''}`.trim())
    return address === '/api/session' ? Response.json({ ...ADA, token: 'second' }) : answer()
  })
  session.value = ADA
  scope = effectScope()
})

afterEach(() => {
  scope.stop()
  session.value = null
})

function watched(isWatched: () => boolean = () => true) {
  const found = scope.run(() => useVideos(isWatched))
  if (!found) throw new Error('the scope has ended')
  return found
}

const passed = (seconds: number) => vi.advanceTimersByTimeAsync(seconds * 1000)

function look(state: DocumentVisibilityState): void {
  visibility = state
  document.dispatchEvent(new Event('visibilitychange'))
}

describe('how often it asks', () => {
  test('one request serves all cards, again every five seconds while one of them is in the making', async () => {
    watched()
    await passed(1)
    expect(asked).toHaveLength(1)

    await passed(20)
    expect(asked).toHaveLength(5)
  })

  test('with nothing in the making it asks every minute', async () => {
    answer = () => Response.json({ videos: [aVideo('completed'), aVideo()] })
    watched()
    await passed(59)
    expect(asked).toHaveLength(1)

    await passed(2)
    expect(asked).toHaveLength(2)
  })

  test('a hidden tab asks nothing, and one that is shown again asks at once', async () => {
    watched()
    await passed(1)
    look('hidden')
    await passed(600)
    expect(asked).toHaveLength(1)

    look('visible')
    await passed(0)
    expect(asked).toHaveLength(2)
  })

  test('the page of one video asks once, and the gallery at once when it is shown again', async () => {
    const isGallery = ref(false)
    watched(() => isGallery.value)
    await passed(600)
    expect(asked).toHaveLength(1)

    isGallery.value = true
    await passed(0)
    expect(asked).toHaveLength(2)
  })
})

describe('when it does not go well', () => {
  test('what is shown stays while the server cannot be reached, and the pauses grow', async () => {
    const { videos, isUnreachable } = watched()
    await passed(1)
    answer = () => new Response(null, { status: 503 })
    await passed(5)
    expect([videos.value?.length, isUnreachable.value, asked.length]).toEqual([3, true, 2])

    await passed(5)
    expect(asked).toHaveLength(3)
    await passed(8)
    expect(asked).toHaveLength(3)
    await passed(2)
    expect(asked).toHaveLength(4)
  })

  test('a token that has expired is replaced, by one request for all that were refused', async () => {
    answer = () => new Response(null, { status: asked.at(-1)?.endsWith('first') ? 401 : 200 })

    const answers = await Promise.all([authorised('/api/videos'), authorised('/api/videos')])

    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    expect(asked).toEqual([
      '/api/videos Bearer first',
      '/api/videos Bearer first',
      '/api/session',
      '/api/videos Bearer second',
      '/api/videos Bearer second',
    ])
  })

  test('of somebody who signs out nothing is left', async () => {
    const { videos } = watched()
    await passed(1)
    session.value = null
    await passed(600)

    expect([videos.value, asked.length]).toEqual([null, 1])
  })
})
