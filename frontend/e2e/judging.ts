/** What is asked of a page in whatever state it is. */

import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'

import type { AxeResults } from 'axe-core'

import { expect, type Page } from '@playwright/test'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

export const PHONE = { width: 320, height: 700 }

/** Nothing that axe knows is wrong, in the light and in the dark. */
export async function expectAccessible(page: Page): Promise<void> {
  // Not as a script of the page: its policy allows none from elsewhere.
  await page.evaluate(AXE)
  for (const colorScheme of ['light', 'dark'] as const) {
    // Without motion the colours are there at once, and not on their way from the other theme's.
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    const found = await page.evaluate(async () => {
      const { axe } = window as unknown as { axe: { run: () => Promise<AxeResults> } }
      return (await axe.run()).violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)
    })
    expect(found, colorScheme).toEqual([])
  }
  await page.emulateMedia({ colorScheme: null, reducedMotion: null })
}

/** On a phone nothing lies beside the screen. */
export async function expectToFitAPhone(page: Page): Promise<void> {
  const before = page.viewportSize()
  await page.setViewportSize(PHONE)
  const scrolled = await page.evaluate(() => {
    window.scrollBy(1000, 0)
    return window.scrollX
  })
  expect(scrolled, 'pixels that it can be scrolled sideways').toBe(0)
  if (before) await page.setViewportSize(before)
}

/** Adds up, from now on, by how much what is shown moves by itself while a job's progress is on the page. */
export async function watchShifts(page: Page): Promise<() => Promise<number>> {
  await page.evaluate(() => {
    const watched = window as unknown as { shifts: number }
    watched.shifts = 0
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as (PerformanceEntry & { value: number; hadRecentInput: boolean })[]) {
        if (document.querySelector('.ai-video-progress') && !entry.hadRecentInput) watched.shifts += entry.value
      }
    }).observe({ type: 'layout-shift' })
  })
  return () => page.evaluate(() => (window as unknown as { shifts: number }).shifts)
}

/** Milliseconds from asking for the page to the first words on it. */
export async function firstPaint(page: Page): Promise<number> {
  return page.evaluate(
    () =>
      new Promise<number>((resolve) => {
        new PerformanceObserver((list) => {
          const painted = list.getEntriesByName('first-contentful-paint')[0]
          if (painted) resolve(painted.startTime)
        }).observe({ type: 'paint', buffered: true })
      }),
  )
}

/** A line of JSON for whoever collects figures. */
export function report(figures: Record<string, number | string>): void {
  console.log(JSON.stringify(figures))
}
