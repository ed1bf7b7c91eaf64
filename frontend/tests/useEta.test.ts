import { describe, expect, test, vi } from 'vitest'
import { effectScope, shallowRef } from 'vue'

import { blended, etaBucket, useEta } from '../src/composables/useEta'
import type { AiVideoJob } from '../src/types'
import { aJob } from './fakes'

function withEta(low: number, high: number, more: Partial<AiVideoJob['progress']> = {}): AiVideoJob {
  const job = aJob('rendering')
  return { ...job, progress: { ...job.progress, elapsed_seconds: 100, eta_seconds: { low, high }, ...more } }
}

function counting(job: AiVideoJob) {
  const source = shallowRef<AiVideoJob | null>(job)
  const scope = effectScope()
  const found = scope.run(() => useEta(source))
  if (!found) throw new Error('the scope has ended')
  return { source, scope, ...found }
}

const passed = (seconds: number) => vi.advanceTimersByTime(seconds * 1000)

describe('counting down', () => {
  test('between two answers the time left goes down and the time passed goes up', () => {
    const { eta, elapsed } = counting(withEta(100, 200))
    passed(30)

    expect(eta.value).toEqual({ low: 70, high: 170 })
    expect(elapsed.value).toBe(130)
  })

  test('it never falls below nothing', () => {
    const { eta } = counting(withEta(5, 20))
    passed(600)

    expect(eta.value).toEqual({ low: 0, high: 0 })
  })

  test('the text is written anew every five seconds at most', () => {
    const { eta } = counting(withEta(100, 200))
    const seen = new Set<unknown>()
    for (let second = 0; second < 60; second += 1) {
      passed(1)
      seen.add(eta.value)
    }

    expect(seen.size).toBeLessThanOrEqual(13)
  })

  test('while the model has no room the time left stands still, and the time passed goes on', () => {
    const { eta, elapsed } = counting(withEta(100, 200, { pace: 'waiting_for_quota' }))
    passed(300)

    expect(eta.value).toEqual({ low: 100, high: 200 })
    expect(elapsed.value).toBe(400)
  })

  test('the clock does not step back when an answer comes late', () => {
    const { source, elapsed } = counting(withEta(100, 200))
    passed(5)
    source.value = withEta(95, 195, { elapsed_seconds: 104 })

    expect(elapsed.value).toBe(105)
  })

  test('a new run begins anew', () => {
    const { source, eta, elapsed } = counting(withEta(10, 20))
    passed(10)
    source.value = { ...withEta(300, 400, { elapsed_seconds: 0 }), created_at: '2026-11-22T12:10:00Z' }

    expect(eta.value).toEqual({ low: 300, high: 400 })
    expect(elapsed.value).toBe(0)
  })

  test.each(['completed', 'filtered', 'reviewing'] as const)('a job that is %s has no time left', (name) => {
    const { source, eta } = counting(withEta(100, 200))
    source.value = aJob(name)

    expect(eta.value).toBeNull()
    expect(vi.getTimerCount()).toBe(0)
  })

  test('nothing runs on when nobody looks any more', () => {
    const { scope } = counting(withEta(100, 200))
    scope.stop()

    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('a new estimate', () => {
  test('a rise of less than ten seconds is not shown', () => {
    expect(blended({ low: 100, high: 200 }, { low: 109, high: 209 })).toEqual({ low: 100, high: 200 })
  })

  test('a greater rise, and every fall, is approached by halves', () => {
    expect(blended({ low: 100, high: 200 }, { low: 140, high: 180 })).toEqual({ low: 120, high: 190 })
  })

  test('it is never turned around: the lower end stays the lower one', () => {
    for (let seed = 1; seed < 2000; seed += 1) {
      const [a = 0, b = 0, c = 0, d = 0] = [7, 11, 13, 17].map((prime) => (seed * prime * 37) % 900)
      const shown = { low: Math.min(a, b), high: Math.max(a, b) }
      const { low, high } = blended(shown, { low: Math.min(c, d), high: Math.max(c, d) })
      expect(low, `seed ${seed}`).toBeLessThanOrEqual(high)
    }
  })
})

describe('in words', () => {
  test.each([
    [5, 40, { unit: 'under_a_minute' }],
    [60, 60, { unit: 'minute', low: 1, high: 1 }],
    [150, 280, { unit: 'minute', low: 2, high: 5 }],
    [20, 70, { unit: 'minute', low: 1, high: 2 }],
    [700, 1300, { unit: 'minute', low: 10, high: 25 }],
    [3600, 9000, { unit: 'hour', low: 1, high: 3 }],
  ])('%d to %d seconds', (low, high, bucket) => {
    expect(etaBucket({ low, high })).toEqual(bucket)
  })
})
