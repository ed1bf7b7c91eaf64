/** Draws the pictures of the gallery in docs/screenshots anew. */

import { join } from 'node:path'

import type { Page } from '@playwright/test'

import { expect, finishedVideo, signIn, startVideo, test } from './served'

const FOLDER = join(import.meta.dirname, '../../docs/screenshots')

// Photographs in all but name: PNG would be four times as much.
async function picture(page: Page, name: string, fullPage = false): Promise<void> {
  await page.waitForLoadState('networkidle')
  // Kept free for a scrollbar, which a browser without a window does not draw.
  await page.evaluate(() => (document.documentElement.style.scrollbarGutter = 'auto'))
  // The player's ring fades after the video is loaded, and nothing tells when it has.
  await page.waitForTimeout(2000)
  await page.screenshot({ path: join(FOLDER, `${name}.jpg`), type: 'jpeg', quality: 82, fullPage })
}

test('the gallery, a job under way, and a finished video', async ({ page, furnished }) => {
  test.setTimeout(600_000)
  await page.emulateMedia({ reducedMotion: 'reduce' })
  await signIn(page, furnished)
  const card = (name: string) => page.locator('a.card', { hasText: name })
  const all = page.getByRole('link', { name: 'All videos' })

  await card('human').click()
  await startVideo(page)
  const video = await finishedVideo(page)
  await expect.poll(() => video.evaluate((element: HTMLVideoElement) => element.readyState)).toBeGreaterThan(1)
  await page.setViewportSize({ width: 390, height: 844 })
  await page.emulateMedia({ colorScheme: 'dark' })
  await picture(page, 'video-dark-390', true)
  await page.emulateMedia({ colorScheme: 'light' })
  await page.setViewportSize({ width: 1200, height: 800 })
  await all.click()

  await card('synth').click()
  await startVideo(page)
  // Three or more: the page asks every few seconds, and two may be done between.
  await expect(page.locator('.ai-video-picture img').nth(2)).toBeVisible({ timeout: 200_000 })
  await picture(page, 'making-light-1200', true)
  await all.click()
  await expect(card('synth')).toContainText(/\d+ of \d+ scenes/)
  await picture(page, 'gallery-light-1200')
  await page.emulateMedia({ colorScheme: 'dark' })
  await page.setViewportSize({ width: 320, height: 700 })
  await picture(page, 'gallery-dark-320', true)
})
