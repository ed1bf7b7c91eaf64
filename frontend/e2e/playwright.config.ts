import { defineConfig } from '@playwright/test'

import { launchOptions } from '../scripts/chromium.js'

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
    launchOptions,
  },
})
