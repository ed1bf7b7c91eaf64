/** The states page in Debian's Chromium, or another that `CHROMIUM` names: for the screenshots and the check of them. */

import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { chromium } from 'playwright-core'
import { createServer } from 'vite'

const STATES = join(dirname(fileURLToPath(import.meta.url)), '..', 'states')

function chromiumPath() {
  const folders = (process.env.PATH ?? '').split(':')
  const found = [process.env.CHROMIUM, ...folders.map((folder) => join(folder, 'chromium'))].find(
    (path) => path && existsSync(path),
  )
  if (!found) throw new Error('no Chromium: apt-get install chromium, or name one in CHROMIUM')
  return found
}

/** Runs `look` with a browser and the address of the page, and closes both whatever happens. */
export async function withStates(look) {
  const server = await createServer({ configFile: join(STATES, 'vite.config.ts'), root: STATES, logLevel: 'warn' })
  await server.listen()
  const browser = await chromium.launch({ executablePath: chromiumPath(), args: ['--no-sandbox'] })
  try {
    return await look(browser, server.resolvedUrls?.local[0] ?? '')
  } finally {
    await browser.close()
    await server.close()
  }
}
