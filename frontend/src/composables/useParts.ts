/** The parts that come in a file of their own, and what is done while it does not come. */

import { onMounted, onUnmounted, ref, shallowRef, type Ref, type ShallowRef } from 'vue'

import type * as Module from '../parts'
import type { AiVideoConnection } from '../types'

type Parts = typeof Module

// A change of networks is over within seconds.  What is still missing then is gone: the gallery was deployed anew, or
// the browser remembers a failed import until the page is reloaded, as most did until 2026 (whatwg/html#10327).  Either
// way a reload helps, and nothing else.
const AGAIN_AFTER_MS = [1_000, 3_000, 9_000]
// The browser says when it is online again, but not every network is one that it knows of.
const OFFLINE_AGAIN_AFTER_MS = 15_000

/** Downloads the parts while the server is asked for the first time. */
export function useParts(download: () => Promise<Parts> = () => import('../parts')): {
  /** Null until they have come. */
  parts: Readonly<ShallowRef<Parts | null>>
  /** Whether they can be had. */
  arrival: Readonly<Ref<AiVideoConnection>>
  /** Whether nobody tries any more, except when the network comes back. */
  isMissing: Readonly<Ref<boolean>>
} {
  const parts = shallowRef<Parts | null>(null)
  const arrival = ref<AiVideoConnection>('ok')
  const isMissing = ref(false)
  let failures = 0
  let attempt = 0
  let timer: ReturnType<typeof setTimeout> | undefined

  async function fetch(): Promise<void> {
    attempt += 1
    const own = attempt
    try {
      parts.value = await download()
      arrival.value = 'ok'
      stop()
    } catch (error) {
      // Somebody else has taken over, or nobody is left to wait for them.
      if (own === attempt) failed(error)
    }
  }

  function failed(error: unknown): void {
    arrival.value = navigator.onLine ? 'reconnecting' : 'offline'
    // Without a network nothing is missing yet, and a reload would take away even this page.
    const pause = navigator.onLine ? AGAIN_AFTER_MS[failures++] : OFFLINE_AGAIN_AFTER_MS
    if (pause !== undefined) {
      timer = setTimeout(() => void fetch(), pause)
      return
    }
    isMissing.value = true
    console.error('The parts of AiVideoGenerator cannot be loaded.', error)
  }

  function begin(): void {
    clearTimeout(timer)
    failures = 0
    isMissing.value = false
    void fetch()
  }

  function stop(): void {
    attempt += 1
    clearTimeout(timer)
    window.removeEventListener('online', begin)
  }

  // Not while a page is rendered on a server: nothing is shown there that would need them.
  onMounted(() => {
    window.addEventListener('online', begin)
    begin()
  })
  onUnmounted(stop)

  return { parts, arrival, isMissing }
}
