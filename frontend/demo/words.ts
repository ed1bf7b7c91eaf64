/** Facts of a video as text. */

const DATE = new Intl.DateTimeFormat('en', { dateStyle: 'medium' })

export const dateOf = (moment: string) => DATE.format(new Date(moment))

/** `1:05`, as players count; hours only where there are any. */
export function lengthOf(seconds: number): string {
  const whole = Math.floor(seconds)
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60]
  const last = String(whole % 60).padStart(2, '0')
  return hours ? `${hours}:${String(minutes).padStart(2, '0')}:${last}` : `${minutes}:${last}`
}
