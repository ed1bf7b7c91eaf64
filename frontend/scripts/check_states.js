/**
 * Draws every state in Chromium, in both themes, at 320 and at 1200 px, and fails where one has a fault: what axe finds
 * (with colours, which no other test can measure), something wider than the page, another look on a page that has rules
 * of its own for all elements, a shift while progress comes in, or a motion for somebody who wants none.  With
 * `--each-once` each theme is drawn at one width only.
 */

import { join } from 'node:path'

import axe from 'axe-core'

import { withStates } from './states_browser.js'

const EACH_ONCE = [
  ['light', 1200],
  ['dark', 320],
]
const ALL = [...EACH_ONCE, ['light', 320], ['dark', 1200]]

const FOREIGN = join(import.meta.dirname, 'foreign.css')

const cases = process.argv.includes('--each-once') ? EACH_ONCE : ALL
const faults = []

/** Where each element is within its component, and how it looks. */
const looks = (page) =>
  page.evaluate(() =>
    [...document.querySelectorAll('.ai-video *')].map((element) => {
      const [own, around] = [element, element.closest('main > *') ?? element].map((one) => one.getBoundingClientRect())
      const { color, backgroundColor, font, letterSpacing, textTransform, textIndent, textAlign, boxShadow } =
        window.getComputedStyle(element)
      const place = [own.x - around.x, own.y - around.y, own.width, own.height].map(Math.round)
      return {
        name: `${element.localName}.${element.className}`,
        look: JSON.stringify([
          place,
          color,
          backgroundColor,
          font,
          letterSpacing,
          textTransform,
          textIndent,
          textAlign,
          boxShadow,
        ]),
      }
    }),
  )

await withStates(async (browser, url) => {
  for (const [theme, width] of cases) {
    const page = await browser.newPage({ viewport: { width, height: 900 }, reducedMotion: 'reduce' })
    const where = `${theme}, ${width} px`
    page.on('pageerror', (error) => faults.push(`${where}: ${error.message}`))
    for (const query of [`theme=${theme}`, `theme=${theme}&only=confirm`]) {
      await page.goto(`${url}?${query}`)
      // Behind the question everything else is inert, the page's main part included.
      await page.waitForSelector(query.includes('confirm') ? 'dialog[open]' : '#rendering img')
      await page.evaluate(axe.source)
      // Many states on one page have many parts of one name; on any other page there is one.
      const { violations } = await page.evaluate(() =>
        window.axe.run({ rules: { 'landmark-unique': { enabled: false } } }),
      )
      for (const { id, nodes } of violations) {
        faults.push(`${where}: ${id}: ${nodes.map((node) => node.target.join(' ')).join(', ')}`)
      }
      const wider = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
      if (wider > 0) faults.push(`${where}: ${wider} px wider than the page`)
      const plain = await looks(page)
      await page.addStyleTag({ path: FOREIGN })
      const changed = (await looks(page)).filter(({ look }, index) => look !== plain[index]?.look)
      const names = new Set(changed.map(({ name }) => name))
      if (names.size > 0) faults.push(`${where}: a page's own rules change ${[...names].slice(0, 5).join(', ')}`)
    }
    await page.goto(`${url}?theme=${theme}&only=queued`)
    await page.waitForSelector('.ai-video-bar[data-unknown]')
    const motions = () => page.evaluate(() => document.getAnimations().length)
    if ((await motions()) > 0) faults.push(`${where}: something moves for somebody who wants no motion`)
    await page.emulateMedia({ reducedMotion: 'no-preference' })
    if ((await motions()) === 0)
      faults.push(`${where}: nothing moves for anybody, so that nothing was learned of motion`)
    await page.emulateMedia({ reducedMotion: 'reduce' })
    await page.goto(`${url}?theme=${theme}&only=moving`)
    await page.waitForSelector('#moving [data-done]')
    const shift = await page.evaluate(() => window.layoutShift)
    if (shift !== 0) faults.push(`${where}: layout shift ${shift} while progress comes in`)
    await page.close()
  }
})

faults.forEach((fault) => console.error(fault))
if (faults.length) process.exitCode = 1
else console.log(`every state, ${cases.map(([theme, width]) => `${theme} at ${width} px`).join(', ')}: no fault`)
