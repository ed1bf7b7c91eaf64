import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { describe, expect, test } from 'vitest'

import { de } from '../src/i18n/de'
import { en } from '../src/i18n/en'
import { wordsOf } from '../src/i18n/messages'

const NAMES = /\{(\w+)\}/g

describe('languages', () => {
  test('every text has a translation', () => {
    expect(Object.keys(en).filter((key) => !(key in de))).toEqual([])
  })

  test('a translation has the values of the original, and no others', () => {
    const texts = en as Record<string, string>
    const wrong = Object.keys(en).filter((key) => {
      const names = (text: string) => [...text.matchAll(NAMES)].map(([, name]) => name).sort()
      return String(names(texts[key] ?? '')) !== String(names((de as Record<string, string>)[key] ?? ''))
    })

    expect(wrong).toEqual([])
  })

  test('every text is used', () => {
    const source = join(import.meta.dirname, '..', 'src')
    const code = readdirSync(source, { recursive: true, encoding: 'utf8' })
      .filter((file) => /\.(vue|ts)$/.test(file) && !file.startsWith('i18n/en') && !file.startsWith('i18n/de'))
      .map((file) => readFileSync(join(source, file), 'utf8'))
      .join('\n')
    // Whole keys, and the beginnings of those that are put together: `phase.${phase}`.
    const quoted = new Set([...code.matchAll(/['"`]([a-z_]+(?:\.[\w: ]+)*)['"`]/g)].map(([, key]) => key))
    const begun = [...code.matchAll(/`([a-z_.]+\.)\$\{/g)].map(([, start]) => start ?? '')

    const unused = Object.keys(en).filter(
      (key) =>
        key !== 'locale' &&
        !quoted.has(key) &&
        !quoted.has(key.replace(/\.(one|other)$/, '')) &&
        !begun.some((start) => key.startsWith(start)),
    )

    expect(unused).toEqual([])
  })

  test('every code of the API has a German text, because the API speaks English', () => {
    const api = join(import.meta.dirname, '..', '..', 'worker', 'handlers', 'api')
    const problems = readFileSync(join(api, 'problems.py'), 'utf8').matchAll(/^ {4}"([A-Z_]+)": Kind\(/gm)
    // Of a job: what it words itself, and what it passes on.
    const words = readFileSync(join(api, 'view.py'), 'utf8').matchAll(/^ {4,8}"([A-Z_]+)"(?:,|: ")/gm)
    const codes = [...problems, ...words].map(([, code]) => code)

    expect(codes.length).toBeGreaterThan(40)
    expect(codes.filter((code) => !(`code.${code}` in de))).toEqual([])
  })

  test('one text can be changed, and the others stay', () => {
    const { t } = wordsOf({ 'form.submit': 'Go' })

    expect([t('form.submit'), t('form.back')]).toEqual(['Go', en['form.back']])
  })
})

describe('numbers', () => {
  test.each([
    [en, 7.4, '$7.40'],
    [en, 8, '$8'],
    [en, 0.0032, '$0.0032'],
    [de, 7.4, '7,40\u00a0$'],
    [de, 1234.5, '1.234,50\u00a0$'],
  ])('money is written as the language writes it', (messages, usd, text) => {
    expect(wordsOf(messages).money(usd)).toBe(text)
  })

  test.each([
    [en, 2, 2.4, 'about $2–$2.40'],
    [en, 2, 2, 'about $2'],
    [en, 0, 0, 'free of charge'],
    [de, 6, 8, 'etwa 6\u00a0$ bis 8\u00a0$'],
  ])('a price is a range only where it is one', (messages, low, high, text) => {
    expect(wordsOf(messages).price({ low, high })).toBe(text)
  })

  test.each([
    [1, '1 scene'],
    [9, '9 scenes'],
    [1200, '1,200 scenes'],
  ])('%d is counted', (n, text) => {
    expect(wordsOf().plural('estimate.scenes', n)).toBe(text)
  })

  test.each([
    [150, 280, 'about 2–5 minutes', 'etwa 2 bis 5 Minuten'],
    [61, 110, 'about 1–2 minutes', 'etwa 1 bis 2 Minuten'],
    [60, 60, 'about a minute', 'etwa eine Minute'],
    [3, 20, 'less than a minute', 'weniger als eine Minute'],
    [4000, 7300, 'about 1–3 hours', 'etwa 1 bis 3 Stunden'],
  ])('%d to %d seconds are said coarsely', (low, high, english, german) => {
    expect([wordsOf().duration({ low, high }), wordsOf(de).duration({ low, high })]).toEqual([english, german])
  })

  test.each([
    [0, '0:00'],
    [132, '2:12'],
    [3732.9, '1:02:12'],
  ])('%d seconds on the clock', (seconds, text) => {
    expect(wordsOf().clock(seconds)).toBe(text)
  })
})
