/** What befalls a job while somebody watches it, or does not. */

import { expectAccessible, expectToFitAPhone, PHONE, report, watchShifts } from './judging'
import { expect, finishedVideo, play, signIn, startVideo, test, uploadFile } from './served'

// A clip that is never finished: the job stays where it is for as long as a test looks.
const ENDLESS = { place: 'veo.clip', effect: { kind: 'takes', seconds: 100_000 }, times: null }
// As Vertex AI refuses words before it takes an order; the code is that of 'violence' (its documentation, 2026-11).
const REFUSED = {
  place: 'veo.submit',
  effect: { kind: 'answer', status: 400, reason: 'The prompt could not be submitted. Support codes: 61493863' },
  times: null,
}

test('a job goes on while nobody looks, and is found again as it is, until somebody stops it', async ({
  page,
  context,
  simulated,
  recordings,
  complaints,
}) => {
  await simulated.scenario(ENDLESS)
  await signIn(page, simulated)
  await uploadFile(page, recordings.sentence)
  await startVideo(page)
  const headline = page.getByRole('heading', { level: 2 })
  await expect(headline).toHaveText('Generating scene 1 of 1', { timeout: 60_000 })
  await expect(page).toHaveTitle(/^\(\d+%\) sentence\.mp3$/)

  await test.step('reload in the middle', async () => {
    await page.reload()
    await expect(headline).toHaveText('Generating scene 1 of 1')
    await expectAccessible(page)
    await expectToFitAPhone(page)
  })
  await test.step('leave and return', async () => {
    await page.getByRole('link', { name: 'All videos' }).click()
    const card = page.locator('a.card', { hasText: 'sentence.mp3' })
    await expect(card).toContainText(/0 of 1 scene(?!s)/)
    await expectAccessible(page)
    await expectToFitAPhone(page)
    await card.click()
    await expect(headline).toHaveText('Generating scene 1 of 1')
  })
  expect(complaints).toEqual([])
  await test.step('offline and back', async () => {
    await context.setOffline(true)
    await expect(page.getByText('You are offline.')).toBeVisible({ timeout: 30_000 })
    await expect(headline).toHaveText('Generating scene 1 of 1')
    await context.setOffline(false)
    await expect(page.getByText('You are offline.')).toBeHidden()
  })
  await test.step('cancel', async () => {
    await page.getByRole('button', { name: 'Cancel' }).click()
    await expect(page.getByRole('heading', { name: 'You stopped this video' })).toBeVisible()
    await expectAccessible(page)
    await expectToFitAPhone(page)
  })
})

test('refused words are told, changed and tried again, and only what is missing is paid', async ({
  page,
  simulated,
  recordings,
}) => {
  await simulated.scenario(REFUSED)
  const before = await simulated.clips()
  await signIn(page, simulated)
  await uploadFile(page, recordings.sentence)
  await startVideo(page)

  await expect(page.getByRole('heading', { name: 'Scene 1 was refused by the content filter' })).toBeVisible({
    timeout: 60_000,
  })
  await expect(page.getByText('Nothing was charged.')).toBeVisible()
  await expectAccessible(page)
  await expectToFitAPhone(page)
  const again = page.getByRole('button', { name: /^Try again/ })
  const words = page.getByLabel('Scene 1, in other words')
  await again.click()
  await expect(words).toBeFocused()

  await simulated.scenario()
  await words.fill('A quiet house in the country')
  await again.click()

  await play(await finishedVideo(page))
  expect((await simulated.clips()) - before).toBe(1)
})

test('a token that expires is replaced without a word', async ({ page, forgetful, recordings }) => {
  const refused: string[] = []
  page.on('response', (response) => {
    if (response.status() === 401) refused.push(response.url())
  })
  await signIn(page, forgetful)
  await uploadFile(page, recordings.sentence)
  await startVideo(page)

  await play(await finishedVideo(page))

  expect(refused.length).toBeGreaterThan(0)
  await expect(page.getByText('You are signed out')).toBeHidden()
})

test('on a phone nothing moves while a job comes on', async ({ page, served, recordings }) => {
  await page.setViewportSize(PHONE)
  await signIn(page, served)
  await uploadFile(page, recordings.reading)
  await startVideo(page)
  const shifts = await watchShifts(page)

  await finishedVideo(page)

  const moved = await shifts()
  report({ measured: 'layout shift while progress updates, 320 px', value: moved })
  expect(moved).toBe(0)
})

test('what the page needs later is asked for again, and where it is gone a reload is offered', async ({
  page,
  served,
  recordings,
}) => {
  const LATER = '**/assets/parts-*.js'
  const form = page.getByRole('heading', { name: 'Make a video of this recording' })
  await signIn(page, served)

  await test.step('lost once', async () => {
    await page.route(LATER, (route) => route.abort(), { times: 1 })
    await uploadFile(page, recordings.sentence)
    await expect(form).toBeVisible()
  })
  await test.step('gone, as after a deployment', async () => {
    await page.route(LATER, (route) => route.fulfill({ status: 404 }))
    await page.reload()
    await expect(page.getByText('Reconnecting…')).toBeVisible()
    await expect(page.getByRole('alert')).toContainText('A part of this page cannot be loaded', { timeout: 30_000 })
    await expectAccessible(page)
    await expectToFitAPhone(page)
  })
  await test.step('reloaded', async () => {
    await page.unroute(LATER)
    await page.getByRole('button', { name: 'Reload the page' }).click()
    await expect(form).toBeVisible()
  })
})
