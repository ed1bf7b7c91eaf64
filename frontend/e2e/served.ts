/** Fixtures: real servers on free ports, each with a home of its own, and recordings for them. */

import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

import { test as base, expect, type Locator, type Page } from '@playwright/test'

const ROOT = resolve(import.meta.dirname, '../..')
const PYTHON = join(ROOT, '.venv/bin/python')
const SAMPLE = join(ROOT, 'samples/narration_human_librivox.mp3')

// A start imports and warms up; on a busy machine that takes a while.
const STARTED_WITHIN_MS = 60_000
const ENDED_WITHIN_MS = 15_000

export interface Served {
  url: string
}

export interface Simulated extends Served {
  /** What befalls the vendors from now on: rules of tests/simulators/scenario.py; without any, nothing does. */
  scenario: (...rules: object[]) => Promise<void>
  /** Clips that Veo has charged for so far. */
  clips: () => Promise<number>
}

interface Recordings {
  /** Eight seconds of a human reading: two scenes. */
  reading: string
  /** Four of them: one scene. */
  sentence: string
}

interface WorkerFixtures {
  folder: string
  recordings: Recordings
  /** Recognises, plans and draws by itself. */
  served: Served
  /** The id of a finished video of Ada's on `served`. */
  finished: string
  /** As `served`, with the sample recordings and an old film that a new home begins with. */
  furnished: Served
  /** As `served`, with sign-ins that last two seconds only. */
  forgetful: Served
  /** Orders its clips from simulated vendors. */
  simulated: Simulated
}

interface TestFixtures {
  /** What the browser has complained about, but for answers that the API gives on purpose. */
  complaints: string[]
}

export const test = base.extend<TestFixtures, WorkerFixtures>({
  folder: [
    // eslint-disable-next-line no-empty-pattern -- Playwright reads the names of what a fixture needs from here
    async ({}, use) => {
      const folder = mkdtempSync(join(tmpdir(), 'page-'))
      await use(folder)
      rmSync(folder, { recursive: true })
    },
    { scope: 'worker' },
  ],

  recordings: [
    async ({ folder }, use) => {
      const cut = (name: string, seconds: number) => {
        const path = join(folder, name)
        execFileSync(PYTHON, [join(import.meta.dirname, 'cut_recording.py'), SAMPLE, String(seconds), path])
        return path
      }
      await use({ reading: cut('reading.mp3', 8), sentence: cut('sentence.mp3', 4) })
    },
    { scope: 'worker' },
  ],

  served: [
    async ({ folder }, use) => {
      await serving(join(folder, 'home'), ['--empty'], {}, use)
    },
    { scope: 'worker', timeout: STARTED_WITHIN_MS + ENDED_WITHIN_MS },
  ],

  finished: [
    async ({ served, recordings, browser }, use) => {
      const page = await browser.newPage()
      await signIn(page, served)
      await uploadFile(page, recordings.sentence)
      await startVideo(page)
      await finishedVideo(page)
      const videoId = page.url().split('/').at(-1) ?? ''
      await page.close()
      await use(videoId)
    },
    { scope: 'worker', timeout: 240_000 },
  ],

  furnished: [
    async ({ folder }, use) => {
      await serving(join(folder, 'furnished'), [], {}, use)
    },
    { scope: 'worker', timeout: STARTED_WITHIN_MS + ENDED_WITHIN_MS },
  ],

  forgetful: [
    async ({ folder }, use) => {
      await serving(join(folder, 'forgetful'), ['--empty', '--session-seconds', '2'], {}, use)
    },
    { scope: 'worker', timeout: STARTED_WITHIN_MS + ENDED_WITHIN_MS },
  ],

  simulated: [
    async ({ folder }, use) => {
      const simulators = spawned(['-m', 'tests.simulators', '--clip-takes', '0'], {})
      try {
        const said = await simulators.says(/^# scenario .*$/m)
        const environment = Object.fromEntries(
          [...said.matchAll(/^export (\w+)=(.*)$/gm)].map(([, name, value]) => [name, value]),
        )
        const control = `${environment.GOOGLE_VERTEX_BASE_URL}/_simulator`
        const scenario = async (...rules: object[]) => {
          const response = await fetch(`${control}/scenario`, { method: 'POST', body: JSON.stringify({ rules }) })
          expect(response.status, await response.text()).toBe(200)
        }
        const clips = async () => {
          const bill = (await (await fetch(`${control}/bill`)).json()) as { clips: unknown[] }
          return bill.clips.length
        }
        await serving(
          join(folder, 'simulated'),
          ['--empty', '--renderer', 'veo'],
          { ...environment, AI_VIDEO_VEO_OUTPUT_GCS_URI: 'gs://clips/page' },
          (served) => use({ ...served, scenario, clips }),
        )
      } finally {
        await simulators.end()
      }
    },
    { scope: 'worker', timeout: STARTED_WITHIN_MS + ENDED_WITHIN_MS },
  ],

  complaints: async ({ page }, use) => {
    const complaints: string[] = []
    page.on('pageerror', (error) => complaints.push(String(error)))
    page.on('console', (message) => {
      if (message.type() !== 'error' && message.type() !== 'warning') return
      // Chromium reports every answer of 4xx; of a video nobody has asked for yet, the API answers 404.
      const { url } = message.location()
      if (message.text().startsWith('Failed to load resource') && new URL(url).pathname === '/api/ai-video') return
      complaints.push(`${message.text()} ${url}`)
    })
    await use(complaints)
  },
})

export { expect }

/** Signs in, on the page that is shown to whoever is not. */
export async function signIn(page: Page, { url }: Served, name = 'Ada'): Promise<void> {
  await page.goto(url)
  await page.getByRole('button', { name }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'Your videos' })).toBeVisible()
}

/** Uploads a recording by the form's own input; the page of the video is shown, with the price known. */
export async function uploadFile(page: Page, recording: string): Promise<void> {
  await page.getByLabel('Choose a file').setInputFiles(recording)
  await expect(page.getByRole('heading', { name: 'Make a video of this recording' })).toBeVisible()
  await expect(page.locator('.ai-video-estimate')).toContainText('scene')
}

/** Asks for the video, and says yes to its price. */
export async function startVideo(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Make the video' }).click()
  await page
    .getByRole('dialog')
    .getByRole('button', { name: /^Make it/ })
    .click()
  await expect(page.getByRole('progressbar')).toBeVisible()
}

/** The finished video; a job of a busy machine takes its time. */
export async function finishedVideo(page: Page): Promise<Locator> {
  const video = page.locator('.ai-video-player video')
  await expect(video).toBeVisible({ timeout: 180_000 })
  return video
}

/** Plays a video until it has really advanced. */
export async function play(video: Locator): Promise<void> {
  await video.evaluate(async (element: HTMLVideoElement) => {
    element.muted = true
    await element.play()
  })
  await expect.poll(() => video.evaluate((element: HTMLVideoElement) => element.currentTime)).toBeGreaterThan(0.5)
}

interface Program {
  /** Waits for words on its standard output, and returns all of it. */
  says: (words: RegExp) => Promise<string>
  end: () => Promise<void>
}

async function serving(
  home: string,
  options: string[],
  environment: NodeJS.ProcessEnv,
  use: (served: Served) => Promise<void>,
): Promise<void> {
  const program = spawned(['-m', 'worker', 'serve', '--port', '0', '--home', home, ...options], environment)
  try {
    const said = await program.says(/serving \S+ /)
    await use({ url: /serving (\S+)/.exec(said)?.[1] ?? '' })
    expect(await program.says(/serving/), 'what the server said').not.toMatch(/Traceback|ERROR/)
  } finally {
    await program.end()
  }
}

function spawned(command: string[], environment: NodeJS.ProcessEnv): Program {
  const child: ChildProcess = spawn(PYTHON, command, {
    cwd: ROOT,
    env: { ...process.env, PYTHONUNBUFFERED: '1', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.stdout?.on('data', (data: Buffer) => (said += data.toString()))
  child.stderr?.on('data', (data: Buffer) => (said += data.toString()))
  return {
    async says(words) {
      await new Promise<void>((resolve, reject) => {
        const fail = () => reject(new Error(`${command.join(' ')}:\n${said}`))
        const timer = setTimeout(fail, STARTED_WITHIN_MS)
        const look = () => {
          if (!words.test(said)) return
          clearTimeout(timer)
          resolve()
        }
        child.stdout?.on('data', look)
        child.stderr?.on('data', look)
        child.once('exit', fail)
        look()
      })
      return said
    },
    async end() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
      const killing = setTimeout(() => child.kill('SIGKILL'), ENDED_WITHIN_MS)
      await ended
      clearTimeout(killing)
    },
  }
}
