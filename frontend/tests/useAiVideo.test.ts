/** The eight rules of watching a job, each with the tests that hold it. */

import { mount } from '@vue/test-utils'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { effectScope, h, ref, type EffectScope, type Ref } from 'vue'

import { createAiVideoClient } from '../src/client'
import { AI_VIDEO_CLIENT, useAiVideo, type UseAiVideo, type UseAiVideoOptions } from '../src/composables/useAiVideo'
import inProgress from '../../tests/fixtures/api/problem_job_in_progress.json'
import jobNotFound from '../../tests/fixtures/api/problem_job_not_found.json'
import unauthenticated from '../../tests/fixtures/api/problem_unauthenticated.json'
import videoNotFound from '../../tests/fixtures/api/problem_video_not_found.json'
import { aJob, answers, FakeApi, gateway, refuses, silence, unchanged, unreachable } from './fakes'

let scope: EffectScope
let visibility: DocumentVisibilityState

beforeEach(() => {
  scope = effectScope()
  visibility = 'visible'
  vi.spyOn(document, 'visibilityState', 'get').mockImplementation(() => visibility)
})

afterEach(() => scope.stop())

function watching(
  api: FakeApi,
  options: UseAiVideoOptions = {},
  videoId: Ref<string | null> | string | null = 'video-1',
): UseAiVideo {
  const client = createAiVideoClient({ baseUrl: 'https://api.example', fetch: api.fetch, getToken: () => 'token' })
  const video = scope.run(() => useAiVideo(videoId, { client, ...options }))
  if (!video) throw new Error('the scope has ended')
  return video
}

/** Everything that is due at once, and nothing later. */
const settled = () => vi.advanceTimersByTimeAsync(0)
const passed = (seconds: number) => vi.advanceTimersByTimeAsync(seconds * 1000)

function becomes(state: DocumentVisibilityState): void {
  visibility = state
  document.dispatchEvent(new Event('visibilitychange'))
}

const noInterval = { poll_after_seconds: null }

describe('rule 1: looks once when mounted, and goes on only while something is being made', () => {
  test.each(['completed', 'filtered', 'cancelled'] as const)('a job that is %s is asked for once', async (name) => {
    const api = new FakeApi(answers(aJob(name, { urls_expire_at: null })))
    watching(api)
    await passed(3600)

    expect(api.asked).toHaveLength(1)
  })

  test('a job that is being made is found as it is by whoever comes back', async () => {
    const video = watching(new FakeApi(answers(aJob('rendering'))))
    await settled()

    expect(video.state.value).toBe('processing')
    expect(video.percent.value).toBe(82)
    expect(video.scenes.value).toHaveLength(3)
    expect(video.steps.value.map((step) => step.id)).toContain('rendering')
  })

  test('a component looks when it is mounted, not while it is set up', async () => {
    const api = new FakeApi(answers(aJob('rendering')))
    const client = createAiVideoClient({ baseUrl: '', fetch: api.fetch })
    let askedInSetup = -1
    const wrapper = mount(
      {
        setup() {
          const { state } = useAiVideo('video-1')
          askedInSetup = api.asked.length
          return () => h('p', state.value)
        },
      },
      { global: { provide: { [AI_VIDEO_CLIENT as symbol]: client } } },
    )
    expect(wrapper.text()).toBe('loading')
    await settled()

    expect(askedInSetup).toBe(0)
    expect(wrapper.text()).toBe('processing')
    wrapper.unmount()
  })

  test('nothing is asked without an id, nor before it is wanted', async () => {
    const api = new FakeApi(answers(aJob('rendering')))
    const nobody = watching(api, {}, null)
    const later = watching(api, { auto: false })
    await passed(60)

    expect(api.asked).toHaveLength(0)
    expect([nobody.state.value, later.state.value]).toEqual(['idle', 'idle'])
  })

  test.each([
    ['started', 'processing'],
    ['reviewing', 'awaiting_review'],
    ['completed', 'completed'],
    ['filtered', 'failed'],
    ['cancelled', 'cancelled'],
  ] as const)('the fixture %s is in state %s', async (name, state) => {
    const video = watching(new FakeApi(answers(aJob(name))))
    await settled()

    expect(video.state.value).toBe(state)
  })

  test('without any client it says what is missing', () => {
    return expect(scope.run(() => useAiVideo('video-1', { auto: false }).start())).rejects.toThrow('needs a client')
  })
})

describe('rule 2: one request at a time, and none that outlives its reason', () => {
  test('a slow answer delays the next request instead of meeting it', async () => {
    const api = new FakeApi(silence)
    watching(api)
    await passed(29)

    expect(api.asked).toHaveLength(1)
  })

  test('never is more than one request open, whatever is pressed meanwhile', async () => {
    let open = 0
    let most = 0
    const slow = new FakeApi(
      ({ signal }) =>
        new Promise((resolve) => {
          const isOver = () => {
            if (closed) return
            closed = true
            open -= 1
            resolve(Response.json(aJob('rendering')))
          }
          let closed = false
          open += 1
          most = Math.max(most, open)
          setTimeout(isOver, 2_000)
          signal.addEventListener('abort', isOver)
        }),
    )
    const video = watching(slow)
    await passed(1)
    void video.refresh()
    await passed(1)
    void video.refresh({ fresh: true })
    becomes('visible')
    await passed(60)

    expect(slow.asked.length).toBeGreaterThan(5)
    expect(most).toBe(1)
  })

  test('leaving the page ends the request and the timer', async () => {
    const api = new FakeApi(answers(aJob('rendering')), silence)
    watching(api)
    await passed(5)
    scope.stop()

    expect(api.asked[1]?.signal.aborted).toBe(true)
    await passed(600)
    becomes('visible')
    window.dispatchEvent(new Event('online'))
    await passed(600)
    expect(api.asked).toHaveLength(2)
    expect(vi.getTimerCount()).toBe(0)
  })

  test('an answer with a lower revision was overtaken, and is ignored', async () => {
    const api = new FakeApi(answers(aJob('rendering', { revision: 12 })), answers(aJob('started', { revision: 11 })))
    const video = watching(api)
    await passed(6)

    expect(api.asked).toHaveLength(2)
    expect(video.job.value?.revision).toBe(12)
    expect(video.job.value?.phase).toBe('rendering')
  })

  test('an answer of the same revision is newer all the same: time passes without a write', async () => {
    const older = aJob('rendering')
    const newer = aJob('rendering', { progress: { ...older.progress, percent: 85 } })
    const video = watching(new FakeApi(answers(older), answers(newer)))
    await passed(6)

    expect(video.percent.value).toBe(85)
  })

  test('an answer for a video that is no longer shown is ignored', async () => {
    const id = ref<string | null>('video-1')
    let answerFirst: (response: Response) => void = () => undefined
    const api = new FakeApi(
      () => new Promise((resolve) => (answerFirst = resolve)),
      answers(aJob('completed', { videoId: 'video-2' })),
    )
    const video = watching(api, {}, id)
    await settled()
    id.value = 'video-2'
    await settled()
    answerFirst(Response.json(aJob('rendering')))
    await settled()

    expect(video.job.value?.videoId).toBe('video-2')
    expect(video.state.value).toBe('completed')
  })

  test('of another video nothing is left: no job, no problem, no ETag', async () => {
    const id = ref<string | null>('video-1')
    const api = new FakeApi(answers(aJob('rendering')), silence)
    const video = watching(api, {}, id)
    await settled()
    id.value = 'video-2'

    expect(video.job.value).toBeNull()
    expect(video.state.value).toBe('loading')
    await settled()
    expect(api.asked[1]?.headers.has('If-None-Match')).toBe(false)
  })

  test('what has not changed is not sent again', async () => {
    const api = new FakeApi(answers(aJob('rendering')), unchanged)
    const video = watching(api)
    await passed(11)

    expect(api.asked.slice(1).map(({ headers }) => headers.get('If-None-Match'))).toEqual(['W/"12"', 'W/"12"'])
    expect(video.job.value?.phase).toBe('rendering')
  })
})

describe('rule 3: asks as often as the server says, else more and more rarely', () => {
  /** Seconds between the requests, over some time. */
  async function pauses(api: FakeApi, seconds: number): Promise<number[]> {
    const times: number[] = []
    const { fetch } = api
    const client = createAiVideoClient({
      baseUrl: '',
      fetch: (...args) => {
        times.push(Date.now())
        return fetch(...args)
      },
    })
    scope.run(() => useAiVideo('video-1', { client }))
    await passed(seconds)
    return times.slice(1).map((time, index) => Math.round((time - (times[index] ?? 0)) / 100) / 10)
  }

  test('the header comes first', async () => {
    const api = new FakeApi(answers(aJob('rendering', { poll_after_seconds: 5 }), { 'Retry-After': '8' }))

    expect(await pauses(api, 25)).toEqual([8, 8, 8])
  })

  test('the body comes second', async () => {
    expect(await pauses(new FakeApi(answers(aJob('rendering', { poll_after_seconds: 5 }))), 16)).toEqual([5, 5, 5])
  })

  test('what the body said holds while nothing changes', async () => {
    expect(await pauses(new FakeApi(answers(aJob('rendering')), unchanged), 16)).toEqual([5, 5, 5])
  })

  test('where nothing is named, 3 s grow by 1.3 to 15 s', async () => {
    const found = await pauses(new FakeApi(answers(aJob('rendering', noInterval))), 100)

    expect(found).toEqual([3, 3.9, 5.1, 6.6, 8.6, 11.1, 14.5, 15, 15, 15])
  })

  test('a new phase begins with 3 s again', async () => {
    const first = answers(aJob('started', noInterval))
    const found = await pauses(new FakeApi(first, first, first, answers(aJob('rendering', noInterval))), 20)

    expect(found.slice(0, 5)).toEqual([3, 3.9, 5.1, 3, 3.9])
  })

  test.each([
    [0, 4],
    [0.9999999, 6],
  ])('every pause is changed by a fifth at most (random %d)', async (random, seconds) => {
    vi.spyOn(Math, 'random').mockReturnValue(random)

    expect(await pauses(new FakeApi(answers(aJob('rendering', { poll_after_seconds: 5 }))), 7)).toContain(seconds)
  })
})

describe('rule 4: a hidden tab rests, and asks at once when it is looked at', () => {
  test('nothing is asked while the tab is hidden', async () => {
    const api = new FakeApi(answers(aJob('rendering')))
    watching(api)
    await settled()
    becomes('hidden')
    await passed(3600)

    expect(api.asked).toHaveLength(1)
  })

  test('a tab that is opened in the background looks once', async () => {
    visibility = 'hidden'
    const api = new FakeApi(answers(aJob('rendering')))
    watching(api)
    await passed(600)

    expect(api.asked).toHaveLength(1)
  })

  test('when it is shown again it asks at once', async () => {
    const api = new FakeApi(answers(aJob('rendering')))
    watching(api)
    await settled()
    visibility = 'hidden'
    await passed(600)
    const before = api.asked.length
    becomes('visible')
    await settled()

    expect(api.asked).toHaveLength(before + 1)
  })

  test('when the network is back it asks at once', async () => {
    const api = new FakeApi(unreachable, unreachable, answers(aJob('rendering')))
    const video = watching(api)
    await passed(4)
    window.dispatchEvent(new Event('online'))
    await settled()

    expect(api.asked).toHaveLength(3)
    expect(video.connection.value).toBe('ok')
  })

  test('who asked to be told is told: then a hidden tab goes on', async () => {
    const api = new FakeApi(answers(aJob('rendering')))
    watching(api, { pauseWhenHidden: false })
    visibility = 'hidden'
    await passed(21)

    expect(api.asked).toHaveLength(5)
  })

  test('a click that is on its way is not given up for a look', async () => {
    const api = new FakeApi(refuses(jobNotFound), silence)
    const video = watching(api)
    await settled()
    void video.start()
    await settled()
    becomes('visible')

    expect(api.of('POST')[0]?.signal.aborted).toBe(false)
    expect(api.of('GET')).toHaveLength(1)
  })

  test('nor for a picture whose address has expired: its answer brings the whole job anyway', async () => {
    const api = new FakeApi(answers(aJob('rendering')), silence)
    const video = watching(api)
    await settled()
    void video.cancel()
    await settled()
    void video.refresh({ fresh: true })
    await settled()

    expect(api.of('POST')[0]?.signal.aborted).toBe(false)
    expect(api.of('GET')).toHaveLength(1)
  })
})

describe('rule 5: trouble on the way is not trouble with the job', () => {
  test.each([
    ['no network', unreachable],
    ['a broken gateway', gateway(502)],
    ['an overloaded server', gateway(503)],
  ])('%s keeps what is known and says that it is reconnecting', async (_, trouble) => {
    const video = watching(new FakeApi(answers(aJob('rendering')), trouble))
    await passed(6)

    expect(video.connection.value).toBe('reconnecting')
    expect(video.state.value).toBe('processing')
    expect(video.percent.value).toBe(82)
  })

  test('without a network the words are others', async () => {
    vi.spyOn(navigator, 'onLine', 'get').mockReturnValue(false)
    const video = watching(new FakeApi(answers(aJob('rendering')), unreachable))
    await passed(6)

    expect(video.connection.value).toBe('offline')
  })

  test('it waits twice as long each time, up to a minute', async () => {
    const api = new FakeApi(unreachable)
    watching(api)
    await settled()
    const found: number[] = []
    for (let seconds = 0; seconds < 220; seconds += 1) {
      const before = api.asked.length
      await passed(1)
      if (api.asked.length > before) found.push(seconds + 1)
    }

    // 3, 6, 12, 24, 48, 60 and 60 s after one another.
    expect(found).toEqual([3, 9, 21, 45, 93, 153, 213])
  })

  test('when the server is back everything goes on as before', async () => {
    const api = new FakeApi(unreachable, unreachable, answers(aJob('rendering')))
    const video = watching(api)
    await passed(10)

    expect(video.connection.value).toBe('ok')
    expect(api.asked).toHaveLength(3)
    await passed(5)
    expect(api.asked).toHaveLength(4)
  })

  test('a first look that fails goes on loading', async () => {
    const video = watching(new FakeApi(unreachable))
    await passed(120)

    expect(video.state.value).toBe('loading')
    expect(video.problem.value).toBeNull()
  })

  test('429 is obeyed: nothing is asked before the time that it names', async () => {
    const api = new FakeApi(answers(aJob('rendering')), gateway(429, { 'Retry-After': '40' }))
    const video = watching(api)
    await passed(5)
    await passed(39)
    expect(api.asked).toHaveLength(2)
    await passed(9)

    expect(api.asked).toHaveLength(3)
    expect(video.connection.value).toBe('ok')
  })

  test('a signed-out user is asked to sign in, once the token was refreshed in vain', async () => {
    const api = new FakeApi(answers(aJob('rendering')), refuses(unauthenticated))
    const video = watching(api)
    await passed(600)

    expect(api.asked).toHaveLength(3)
    expect(video.problem.value).toMatchObject({ status: 401, user_action: 'sign_in' })
    expect(video.state.value).toBe('processing')
  })

  test('after signing in a look takes the question away', async () => {
    const api = new FakeApi(refuses(unauthenticated))
    const video = watching(api)
    await settled()
    api.plan(answers(aJob('rendering')))
    await video.refresh()

    expect(video.problem.value).toBeNull()
    await passed(6)
    expect(api.asked.length).toBeGreaterThan(3)
  })

  test('where no video was asked for there is no problem, and no further request', async () => {
    const api = new FakeApi(refuses(jobNotFound))
    const video = watching(api)
    await passed(600)

    expect(api.asked).toHaveLength(1)
    expect(video.state.value).toBe('idle')
    expect(video.problem.value).toBeNull()
  })

  test('a recording that is not there is said, and not asked for again', async () => {
    const api = new FakeApi(refuses(videoNotFound))
    const video = watching(api)
    await passed(600)

    expect(api.asked).toHaveLength(1)
    expect(video.problem.value?.code).toBe('VIDEO_NOT_FOUND')
  })

  test('a recording that was removed meanwhile leaves nothing of its job', async () => {
    const video = watching(new FakeApi(answers(aJob('rendering')), refuses(videoNotFound)))
    await passed(6)

    expect(video.job.value).toBeNull()
    expect(video.state.value).toBe('idle')
  })
})

describe('rule 6: only the server says that a job failed', () => {
  test.each([
    ['answers the same for hours', answers(aJob('rendering', { poll_after_seconds: 60 }))],
    ['cannot be reached for hours', unreachable],
    ['does not answer for hours', silence],
    ['is broken for hours', gateway(500)],
    ['says for hours that it takes longer than usual', answers(withPace('longer_than_usual'))],
    ['says for hours that nothing moves', answers(withPace('stalled'))],
  ])('a job is still being made when the server %s', async (_, trouble) => {
    const onFailed = vi.fn()
    const video = watching(new FakeApi(answers(aJob('rendering')), trouble), { onFailed })
    const seen = new Set<string>()
    for (let hour = 0; hour < 3; hour += 0.25) {
      await passed(900)
      seen.add(video.state.value)
    }

    expect([...seen]).toEqual(['processing'])
    expect(onFailed).not.toHaveBeenCalled()
  })

  function withPace(pace: 'longer_than_usual' | 'stalled') {
    const job = aJob('rendering')
    return { ...job, progress: { ...job.progress, pace } }
  }
})

describe('rule 7: at the end it rests, and renews addresses before they expire', () => {
  test('addresses are fetched anew, whole, once for each time they expire', async () => {
    const api = new FakeApi(answers(aJob('completed', { urls_expire_at: '2026-11-22T13:00:00Z' })))
    watching(api)
    await passed(58 * 60)
    expect(api.asked).toHaveLength(1)
    await passed(3 * 60)
    expect(api.asked).toHaveLength(2)
    expect(api.asked[1]?.headers.has('If-None-Match')).toBe(false)
    await passed(24 * 3600)

    expect(api.asked).toHaveLength(2)
  })

  test('addresses that hold for longer than a timer can are not fetched at once', async () => {
    const api = new FakeApi(answers(aJob('completed', { urls_expire_at: '2027-01-22T13:00:00Z' })))
    const wait = vi.spyOn(globalThis, 'setTimeout')
    watching(api)
    await settled()

    expect(Math.max(...wait.mock.calls.map(([, milliseconds]) => milliseconds ?? 0))).toBe(2 ** 31 - 1)
  })

  test('addresses that expired behind a hidden tab are fetched when it is shown', async () => {
    const api = new FakeApi(answers(aJob('completed', { urls_expire_at: '2026-11-22T13:00:00Z' })))
    watching(api)
    await settled()
    visibility = 'hidden'
    document.dispatchEvent(new Event('visibilitychange'))
    await passed(2 * 3600)
    const before = api.asked.length
    becomes('visible')
    await settled()

    expect(before).toBeLessThanOrEqual(2)
    expect(api.asked).toHaveLength(2)
  })

  test('a player that fails has the job fetched afresh', async () => {
    const api = new FakeApi(answers(aJob('completed')))
    const video = watching(api)
    await settled()
    await video.refresh({ fresh: true })

    expect(api.asked[1]?.headers.has('If-None-Match')).toBe(false)
  })

  test('the end is told once, and only to who was watching', async () => {
    const onCompleted = vi.fn()
    watching(new FakeApi(answers(aJob('rendering')), answers(aJob('completed'))), { onCompleted })
    await passed(600)
    expect(onCompleted).toHaveBeenCalledTimes(1)

    const late = vi.fn()
    watching(new FakeApi(answers(aJob('completed'))), { onCompleted: late })
    await passed(600)
    expect(late).not.toHaveBeenCalled()
  })

  test('a failure is told with what the server says of it', async () => {
    const onFailed = vi.fn()
    const video = watching(new FakeApi(answers(aJob('rendering')), answers(aJob('filtered'))), { onFailed })
    await passed(6)

    expect(onFailed).toHaveBeenCalledWith(video.error.value, video.job.value)
    expect(video.error.value?.code).toBe('CONTENT_FILTERED')
  })
})

describe('rule 8: one click starts one video', () => {
  test('a start shows the job at once, and goes on watching it', async () => {
    const api = new FakeApi(refuses(jobNotFound), answers(aJob('started')))
    const video = watching(api)
    await settled()
    await video.start({ style: 'noir' })

    expect(video.state.value).toBe('processing')
    await passed(4)
    expect(api.of('GET')).toHaveLength(2)
  })

  test('a lost answer is asked for with the same key', async () => {
    const api = new FakeApi(refuses(jobNotFound), unreachable, answers(aJob('started')))
    const video = watching(api)
    await settled()
    const starting = video.start()
    await passed(2)
    await starting

    const keys = api.of('POST').map(({ headers }) => headers.get('Idempotency-Key'))
    expect(keys).toHaveLength(2)
    expect(keys[0]).toBe(keys[1])
  })

  test('a second click while the first is on its way asks for nothing', async () => {
    const api = new FakeApi(refuses(jobNotFound), silence)
    const video = watching(api)
    await settled()
    void video.start()
    void video.start()
    await settled()

    expect(api.of('POST')).toHaveLength(1)
    expect(video.pending.value).toBe('start')
  })

  test('a later click has another key', async () => {
    const api = new FakeApi(answers(aJob('filtered')))
    const video = watching(api)
    await settled()
    await video.retry()
    await video.retry()

    const keys = api.of('POST').map(({ headers }) => headers.get('Idempotency-Key'))
    expect(new Set(keys).size).toBe(2)
  })
})

describe('decisions', () => {
  test('retry, approve and cancel send what was decided', async () => {
    const api = new FakeApi(answers(aJob('reviewing')))
    const video = watching(api)
    await settled()
    await video.approve([{ scene_index: 1, visual_prompt: 'A calm sea' }])
    await video.retry({ maxCostUsd: 12 })
    await video.cancel()

    expect(api.of('POST').map(({ body }) => body)).toEqual([
      { videoId: 'video-1', action: 'approve', sceneBeats: [{ scene_index: 1, visual_prompt: 'A calm sea' }] },
      { videoId: 'video-1', action: 'retry', options: { maxCostUsd: 12 } },
      { videoId: 'video-1', action: 'cancel' },
    ])
  })

  test('a refusal is told, and the job looked at, because it is not what was thought', async () => {
    const api = new FakeApi(refuses(jobNotFound), refuses(inProgress), answers(aJob('rendering')))
    const video = watching(api)
    await settled()
    const started = await video.start()
    await settled()

    expect(started).toBeNull()
    expect(video.problem.value?.code).toBe('JOB_IN_PROGRESS')
    expect(video.state.value).toBe('processing')
  })

  test('after a refusal the job is watched as before', async () => {
    const api = new FakeApi(answers(aJob('rendering')), refuses({ status: 422 }), answers(aJob('rendering')))
    const video = watching(api)
    await settled()
    await video.cancel()
    await passed(6)

    expect(api.of('GET')).toHaveLength(2)
  })

  test('a job that ends by one’s own doing is told as ended', async () => {
    const onCancelled = vi.fn()
    const api = new FakeApi(answers(aJob('rendering')), answers(aJob('cancelled', { revision: 13 })))
    const video = watching(api, { onCancelled })
    await settled()
    await video.cancel()

    expect(onCancelled).toHaveBeenCalledTimes(1)
    expect(video.state.value).toBe('cancelled')
  })

  test('of two estimates the later one counts', async () => {
    const api = new FakeApi(refuses(jobNotFound), silence, () => Response.json({ estimate: { scenes: 4 } }))
    const video = watching(api)
    await settled()
    const first = video.estimate({ aspectRatio: '16:9' })
    await settled()
    const second = video.estimate({ aspectRatio: '9:16' })
    await settled()

    expect(await first).toBeNull()
    expect((await second)?.estimate?.scenes).toBe(4)
    expect(video.problem.value).toBeNull()
  })

  test('stopped, it asks nothing until it is asked to', async () => {
    const api = new FakeApi(answers(aJob('rendering')))
    const video = watching(api)
    await settled()
    video.stop()
    await passed(600)
    becomes('visible')
    expect(api.asked).toHaveLength(1)
    await video.refresh()

    expect(api.asked).toHaveLength(2)
  })

  test('stopped while a click is on its way, it takes the next one', async () => {
    const api = new FakeApi(answers(aJob('rendering')), silence, answers(aJob('cancelled', { revision: 13 })))
    const video = watching(api)
    await settled()
    void video.cancel()
    await settled()
    video.stop()
    await video.cancel()

    expect(video.pending.value).toBeNull()
    expect(video.state.value).toBe('cancelled')
  })
})
