/** Texts with their numbers, money, times and plurals, in the language of the messages. */

import {
  computed,
  getCurrentInstance,
  hasInjectionContext,
  inject,
  provide,
  toValue,
  type ComputedRef,
  type InjectionKey,
  type MaybeRefOrGetter,
} from 'vue'

import { etaBucket } from '../composables/useEta'
import type { SecondsRange, UsdRange } from '../types'
import { en, type AiVideoMessageKey, type AiVideoMessages } from './en'

/** Provided by the plugin, by an application, or by the generator for its parts. */
export const AI_VIDEO_MESSAGES: InjectionKey<MaybeRefOrGetter<Partial<AiVideoMessages> | undefined>> =
  Symbol('ai-video messages')

type Values = Record<string, string | number>

/** A key that has a form for one and another for more. */
type PluralKey = {
  [Key in AiVideoMessageKey]: Key extends `${infer Stem}.other` ? Stem : never
}[AiVideoMessageKey]

export interface Words {
  /** A text with its values; numbers are written as the language writes them. */
  t: (key: AiVideoMessageKey, values?: Values) => string
  /** The form of a text for `n`. */
  plural: (key: PluralKey, n: number, values?: Values) => string
  /** The text of a key that may not be there. */
  optional: (key: string, values?: Values) => string | null
  money: (usd: number) => string
  price: (range: Pick<UsdRange, 'low' | 'high'>) => string
  /** About how long: coarse. */
  duration: (range: SecondsRange) => string
  /** 2:12, or 1:02:12. */
  clock: (seconds: number) => string
  locale: string
}

export function wordsOf(overrides?: Partial<AiVideoMessages>): Words {
  const all: Record<string, string> = { ...en, ...overrides }
  const locale = all.locale ?? en.locale
  const number = new Intl.NumberFormat(locale)
  const plurals = new Intl.PluralRules(locale)

  const optional = (key: string, values: Values = {}) =>
    all[key]?.replace(/\{(\w+)\}/g, (whole, name: string) => {
      const value = values[name]
      return value === undefined ? whole : typeof value === 'number' ? number.format(value) : value
    }) ?? null
  const t = (key: AiVideoMessageKey, values?: Values) => optional(key, values) ?? key
  const plural = (key: PluralKey, n: number, values?: Values) =>
    optional(`${key}.${plurals.select(n)}`, { n, ...values }) ?? t(`${key}.other`, { n, ...values })

  // Whole dollars need no cents; less than a cent is not nothing.
  const money = (usd: number) =>
    new Intl.NumberFormat(locale, {
      style: 'currency',
      currency: 'USD',
      currencyDisplay: 'narrowSymbol',
      minimumFractionDigits: Number.isInteger(usd) ? 0 : 2,
      maximumFractionDigits: usd > 0 && usd < 0.01 ? 4 : 2,
    }).format(usd)

  function price({ low, high }: Pick<UsdRange, 'low' | 'high'>): string {
    if (high === 0) return t('cost.free')
    const [least, most] = [money(low), money(high)]
    return least === most ? t('cost.about', { low: most }) : t('cost.range', { low: least, high: most })
  }

  function duration(range: SecondsRange): string {
    const bucket = etaBucket(range)
    if (bucket.unit === 'under_a_minute') return t('eta.under_a_minute')
    const { unit, low, high } = bucket
    return low === high ? plural(`eta.${unit}`, high) : t(`eta.${unit}.range`, { low, high })
  }

  return { t, plural, optional, money, price, duration, clock, locale }
}

function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds))
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
  const shown = parts[0] ? parts : parts.slice(1)
  return shown.map((part, index) => (index ? String(part).padStart(2, '0') : String(part))).join(':')
}

/** The words of a component: what was provided, and over it what it was given itself, for its parts as well. */
export function useWords(own?: MaybeRefOrGetter<Partial<AiVideoMessages> | undefined>): ComputedRef<Words> {
  const provided = hasInjectionContext() ? inject(AI_VIDEO_MESSAGES, undefined) : undefined
  const merged = computed(() => ({ ...toValue(provided), ...toValue(own) }))
  if (own && getCurrentInstance()) provide(AI_VIDEO_MESSAGES, merged)
  return computed(() => wordsOf(merged.value))
}
