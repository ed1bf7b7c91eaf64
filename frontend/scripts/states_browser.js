/** The states page in Chromium: for the screenshots and the check of them. */

import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { chromium } from 'playwright-core'
import { createServer } from 'vite'

import { launchOptions } from './chromium.js'

const STATES = join(dirname(fileURLToPath(import.meta.url)), '..', 'states')

/** Runs `look` with a browser and the address of the page, and closes both whatever happens. */
export async function withStates(look) {
  const server = await createServer({ configFile: join(STATES, 'vite.config.ts'), root: STATES, logLevel: 'warn' })
  await server.listen()
  const browser = await chromium.launch(launchOptions)
  try {
    return await look(browser, server.resolvedUrls?.local[0] ?? '')
  } finally {
    await browser.close()
    await server.close()
  }
}
