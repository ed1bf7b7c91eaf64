/** Draws the screenshots of docs/screenshots anew, from the states page. */

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

import { withStates } from './states_browser.js'

const FOLDER = join(import.meta.dirname, '..', '..', 'docs', 'screenshots')
const SHOTS = [
  { state: 'empty', width: 1000, theme: 'light' },
  { state: 'rendering', width: 1000, theme: 'light' },
  { state: 'rendering', width: 320, theme: 'dark' },
  { state: 'waiting-for-quota', width: 1000, theme: 'dark' },
  { state: 'reviewing', width: 1000, theme: 'light' },
  { state: 'failed-filtered', width: 1000, theme: 'light' },
  { state: 'failed-filtered', width: 320, theme: 'light', language: 'de' },
  { state: 'completed', width: 1000, theme: 'dark' },
]

mkdirSync(FOLDER, { recursive: true })
await withStates(async (browser, url) => {
  for (const { state, width, theme, language = 'en' } of SHOTS) {
    // High enough that nothing sticks to the edge of the window.
    const page = await browser.newPage({ viewport: { width, height: 2400 }, reducedMotion: 'reduce' })
    await page.goto(`${url}?only=${state}&theme=${theme}&lang=${language}`)
    await page.waitForSelector('.ai-video-panel')
    await page.waitForLoadState('networkidle')
    await page.locator('.ai-video-generator').screenshot({ path: join(FOLDER, `${state}-${theme}-${width}.png`) })
    await page.close()
  }
})
