/** Where in the page somebody is, in the part of the address behind `#`: `#/videos/ID`, or the gallery. */

import { computed, ref } from 'vue'

const hash = ref(location.hash)
window.addEventListener('hashchange', () => {
  hash.value = location.hash
})

/** The video whose page is shown; null in the gallery. */
export const shownVideoId = computed(() => {
  const part = /^#\/videos\/([^/]+)$/.exec(hash.value)?.[1]
  try {
    return part === undefined ? null : decodeURIComponent(part)
  } catch {
    return null // a percent sign that somebody typed
  }
})

export const GALLERY = '#/'
export const addressOf = (videoId: string) => `#/videos/${encodeURIComponent(videoId)}`

export function goTo(address: string): void {
  location.hash = address
}
