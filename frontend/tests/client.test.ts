import { describe, expect, test, vi } from 'vitest'

import { createAiVideoClient, type AiVideoClientOptions } from '../src/client'
import { AiVideoProblem } from '../src/problem'
import dryRun from '../../tests/fixtures/api/dry_run.json'
import approveRequest from '../../tests/fixtures/api/request_approve.json'
import dryRunRequest from '../../tests/fixtures/api/request_dry_run.json'
import retryRequest from '../../tests/fixtures/api/request_retry.json'
import startRequest from '../../tests/fixtures/api/request_start.json'
import costLimit from '../../tests/fixtures/api/problem_cost_limit_exceeded.json'
import invalidOption from '../../tests/fixtures/api/problem_invalid_option.json'
import unauthenticated from '../../tests/fixtures/api/problem_unauthenticated.json'
import { aJob, answers, FakeApi, gateway, refuses, silence, unchanged, unreachable } from './fakes'

function aClient(api: FakeApi, options: Partial<AiVideoClientOptions> = {}) {
  return createAiVideoClient({ baseUrl: 'https://api.example/prod/', fetch: api.fetch, ...options })
}

/** What a promise is rejected with, while every timer is let run. */
async function rejection(promise: Promise<unknown>): Promise<AiVideoProblem> {
  const caught = promise.then(
    () => {
      throw new Error('it was answered')
    },
    (error: unknown) => error,
  )
  await vi.runAllTimersAsync()
  const error = await caught
  expect(error).toBeInstanceOf(AiVideoProblem)
  return error as AiVideoProblem
}

describe('looking', () => {
  test('a look asks for the video by its id, whatever characters it has', async () => {
    const api = new FakeApi(answers(aJob('rendering')))

    await aClient(api).get('a/b &c')

    expect(api.asked[0]?.url).toBe('https://api.example/prod/ai-video?videoId=a%2Fb%20%26c')
  })

  test('a known ETag is sent along, and 304 says that nothing has changed', async () => {
    const api = new FakeApi(unchanged)

    const answer = await aClient(api).get('video-1', { etag: 'W/"12-ab"' })

    expect(api.asked[0]?.headers.get('If-None-Match')).toBe('W/"12-ab"')
    expect(answer.job).toBeNull()
  })

  test.each([
    ['the header', { 'Retry-After': '7' }, 7],
    ['a date in the header', { 'Retry-After': 'Sun, 22 Nov 2026 12:01:00 GMT' }, 30],
    ['the body, where a browser may not see the header', {}, 5],
  ])('how soon to ask again comes from %s', async (_, headers, seconds) => {
    const api = new FakeApi(answers(aJob('rendering'), headers as Record<string, string>))

    expect((await aClient(api).get('video-1')).retryAfter).toBe(seconds)
  })

  test('a page in place of the API counts as no answer', async () => {
    const api = new FakeApi(() => new Response('<h1>Sign in to this hotel</h1>'))

    expect((await rejection(aClient(api).get('video-1'))).code).toBe('UNREACHABLE')
  })

  test('a request that nobody answers is given up, so that another one can be sent', async () => {
    const problem = await rejection(aClient(new FakeApi(silence)).get('video-1'))

    expect(problem.status).toBe(0)
    expect(problem.isTransient).toBe(true)
  })

  test('nor is an answer waited for that begins and never ends', async () => {
    const api = new FakeApi(() => new Response(new ReadableStream()))

    expect((await rejection(aClient(api).get('video-1'))).code).toBe('UNREACHABLE')
  })

  test('what is aborted rejects with the reason of whoever aborted it', async () => {
    const abort = new AbortController()
    const looking = aClient(new FakeApi(silence)).get('video-1', { signal: abort.signal })
    abort.abort(new Error('gone elsewhere'))

    await expect(looking).rejects.toThrow('gone elsewhere')
  })
})

describe('deciding', () => {
  test('requests are those of the shared fixtures', async () => {
    const api = new FakeApi(() => Response.json(dryRun))
    const client = aClient(api)

    await client.estimate('video-1', { aspectRatio: '9:16' })
    api.plan(answers(aJob('started')))
    await client.start('video-1', { style: 'watercolour', maxCostUsd: 10 })
    await client.approve('video-1', approveRequest.sceneBeats)
    await client.retry('video-1', { sceneBeats: retryRequest.sceneBeats, maxCostUsd: 12 })

    const bodies = api.asked.map(({ body }) => body)
    expect(bodies).toEqual([dryRunRequest, startRequest, approveRequest, retryRequest].map((body) => ({ ...body })))
  })

  test('every click has a key of its own', async () => {
    const api = new FakeApi(answers(aJob('started')))
    const client = aClient(api)

    await client.start('video-1')
    await client.start('video-1')

    const keys = api.asked.map(({ headers }) => headers.get('Idempotency-Key'))
    expect(keys[0]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(new Set(keys).size).toBe(2)
  })

  test('a page without a secure context makes keys of the same form', async () => {
    const api = new FakeApi(answers(aJob('started')))
    vi.stubGlobal('crypto', { getRandomValues: crypto.getRandomValues.bind(crypto) })

    await aClient(api).start('video-1')

    expect(api.asked[0]?.headers.get('Idempotency-Key')).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab]/)
  })

  test('a click whose answer was lost is sent again with the same key, so that nothing is started twice', async () => {
    const api = new FakeApi(unreachable, gateway(504), answers(aJob('started')))
    const starting = aClient(api).start('video-1')
    await vi.runAllTimersAsync()

    expect((await starting).job?.phase).toBe('transcribing')
    const keys = api.asked.map(({ headers }) => headers.get('Idempotency-Key'))
    expect(keys).toHaveLength(3)
    expect(new Set(keys).size).toBe(1)
  })

  test('a click is sent three times at most', async () => {
    const api = new FakeApi(unreachable)

    expect((await rejection(aClient(api).start('video-1'))).code).toBe('UNREACHABLE')
    expect(api.asked).toHaveLength(3)
  })

  test('a refusal is not sent again', async () => {
    const api = new FakeApi(refuses(costLimit))

    const problem = await rejection(aClient(api).start('video-1'))

    expect(api.asked).toHaveLength(1)
    expect(problem).toMatchObject({ code: 'COST_LIMIT_EXCEEDED', status: 422, user_action: 'raise_limit', limitUsd: 1 })
    expect(problem.estimate?.scenes).toBe(3)
  })

  test('giving up in the pause before a repetition sends nothing more', async () => {
    const api = new FakeApi(unreachable)
    const abort = new AbortController()
    const starting = aClient(api).start('video-1', {}, { signal: abort.signal })
    const caught = starting.catch((error: unknown) => error)
    await vi.advanceTimersByTimeAsync(500)
    abort.abort('left')
    await vi.runAllTimersAsync()

    expect(await caught).toBe('left')
    expect(api.asked).toHaveLength(1)
  })
})

describe('problems', () => {
  test('wrong fields are named', async () => {
    const problem = await rejection(aClient(new FakeApi(refuses(invalidOption))).start('video-1'))

    expect(problem.errors).toEqual(invalidOption.errors)
    expect(problem.message).toBe(invalidOption.detail)
  })

  test.each([
    [403, 'HTTP_403', 'contact_admin', false],
    [429, 'HTTP_429', 'wait', true],
    [503, 'HTTP_503', 'wait', true],
  ])('a gateway that answers %i in the place of the API is told apart', async (status, code, action, isTransient) => {
    const problem = await rejection(aClient(new FakeApi(gateway(status, { 'Retry-After': '9' }))).get('video-1'))

    expect(problem).toMatchObject({ code, user_action: action, isTransient, retryAfter: 9 })
  })
})

describe('the token', () => {
  test('it is sent with every request', async () => {
    const api = new FakeApi(answers(aJob('rendering')))

    await aClient(api, { getToken: () => 'abc' }).get('video-1')

    expect(api.asked[0]?.headers.get('Authorization')).toBe('Bearer abc')
  })

  test('after a 401 it is refreshed once, and the request is sent with the new one', async () => {
    const api = new FakeApi(gateway(401), answers(aJob('rendering')))
    const getToken = vi.fn(({ forceRefresh }: { forceRefresh: boolean }) =>
      Promise.resolve(forceRefresh ? 'new' : 'old'),
    )

    await aClient(api, { getToken }).get('video-1')

    expect(api.asked.map(({ headers }) => headers.get('Authorization'))).toEqual(['Bearer old', 'Bearer new'])
  })

  test('a second 401 is surfaced, not asked a third time', async () => {
    const api = new FakeApi(refuses(unauthenticated))

    const problem = await rejection(aClient(api, { getToken: () => 'old' }).get('video-1'))

    expect(problem).toMatchObject({ status: 401, user_action: 'sign_in' })
    expect(api.asked).toHaveLength(2)
  })

  test('a start that was refused for its token is repeated with its key', async () => {
    const api = new FakeApi(gateway(401), answers(aJob('started')))

    await aClient(api, { getToken: () => 'abc' }).start('video-1')

    const keys = api.asked.map(({ headers }) => headers.get('Idempotency-Key'))
    expect(keys[0]).toBe(keys[1])
  })

  test('a token that cannot be had for now is a lost connection, not a signed-out user', async () => {
    const getToken = () => Promise.reject(new Error('NetworkError'))

    expect((await rejection(aClient(new FakeApi(), { getToken }).get('video-1'))).code).toBe('UNREACHABLE')
  })

  test('a token that never comes is given up like an answer that never comes', async () => {
    const getToken = () => new Promise<string>(() => undefined)

    expect((await rejection(aClient(new FakeApi(), { getToken }).get('video-1'))).code).toBe('UNREACHABLE')
  })

  test('whoever leaves while a token is fetched need not wait for it', async () => {
    const abort = new AbortController()
    const getToken = () => new Promise<string>(() => undefined)
    const looking = aClient(new FakeApi(), { getToken }).get('video-1', { signal: abort.signal })
    abort.abort(new Error('gone elsewhere'))

    await expect(looking).rejects.toThrow('gone elsewhere')
  })
})
