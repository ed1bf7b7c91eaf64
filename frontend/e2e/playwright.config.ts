import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

import { defineConfig } from '@playwright/test'

/** The system's browser: Playwright's own build would be a download, and plays no H.264. */
function chromium(): string {
  const folders = (process.env.PATH ?? '').split(delimiter)
  const names = ['chromium', 'chromium-browser', 'google-chrome']
  const candidates = [process.env.CHROMIUM, ...names.flatMap((name) => folders.map((folder) => join(folder, name)))]
  const found = candidates.find((path) => path && isProgram(path))
  if (!found) throw new Error('no Chromium: scripts/chromium.sh installs it, or CHROMIUM names one')
  return found
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

export default defineConfig({
  testDir: '.',
  // Pictures for people are no tests: `npm run pictures`.
  testIgnore: process.env.PICTURES ? undefined : '**/pictures.spec.ts',
  outputDir: '../../out/page',
  // Each has servers of its own, which draw and encode: with more they would only wait for each other.
  workers: 2,
  fullyParallel: false,
  forbidOnly: Boolean(process.env.CI),
  retries: 0,
  // A job of eight seconds of speech takes ten on an idle machine, and this one may be busy.
  timeout: 240_000,
  expect: { timeout: 15_000 },
  reporter: [['list'], ['junit', { outputFile: process.env.JUNIT ?? '../../build/junit-page.xml' }]],
  use: {
    viewport: { width: 1200, height: 800 },
    locale: 'en-GB',
    trace: 'retain-on-failure',
    launchOptions: {
      executablePath: chromium(),
      // In a container there is neither a namespace for the sandbox nor room in /dev/shm.
      args: ['--no-sandbox', '--disable-dev-shm-usage'],
    },
  },
})
