/** The list of videos: one request for all cards, again from time to time while somebody looks. */

import { computed, onScopeDispose, readonly, ref, shallowRef, watch } from 'vue'

import type { AiVideoRow } from 'ai-video-vue'

import { authorised, session } from './session'

export interface Video extends AiVideoRow {
  videoId: string
  title: string
  kind: 'audio' | 'video'
  created_at: string
  url: string
  duration_seconds: number | null
  poster_url?: string
  video_url?: string
}

// A card says how many scenes are done, and a scene takes tens of seconds.
const EVERY_MS = 5_000
// Nothing is being made: what could change comes from another tab.
const AT_REST_MS = 60_000
const LONGEST_BACKOFF_MS = 60_000
const JITTER = 0.2

/** The videos of whoever is signed in.  `isWatched`: whether the cards are on the screen. */
export function useVideos(isWatched: () => boolean) {
  const videos = shallowRef<readonly Video[] | null>(null)
  const isUnreachable = ref(false)

  let flight: AbortController | null = null
  let timer: ReturnType<typeof setTimeout> | undefined
  let failures = 0

  const isMaking = computed(() => videos.value?.some((video) => video.ai_generation_status === 'processing') ?? false)
  // The page of one video needs the list once, too.
  const isSeen = () => (isWatched() || videos.value === null) && document.visibilityState === 'visible'

  async function refresh(): Promise<void> {
    clearTimeout(timer)
    flight?.abort()
    const own = (flight = new AbortController())
    try {
      const response = await authorised('/api/videos', { signal: own.signal })
      if (!response.ok) throw new Error(`videos: ${response.status}`)
      const answer = (await response.json()) as { videos: Video[] }
      if (own.signal.aborted) return
      videos.value = answer.videos
      isUnreachable.value = false
      failures = 0
      refreshAfter(isMaking.value ? EVERY_MS : AT_REST_MS)
    } catch {
      // Whatever it was, the list is asked for again; what is shown stays.
      if (own.signal.aborted) return
      isUnreachable.value = true
      refreshAfter(Math.min(EVERY_MS * 2 ** failures, LONGEST_BACKOFF_MS))
      failures += 1
    }
  }

  function refreshAfter(milliseconds: number): void {
    if (!isSeen()) return
    timer = setTimeout(() => void refresh(), milliseconds * (1 - JITTER + Math.random() * 2 * JITTER))
  }

  /** Puts a video that was just uploaded where the next list will have it. */
  function add(video: Video): void {
    videos.value = [video, ...(videos.value ?? [])]
  }

  function stop(): void {
    clearTimeout(timer)
    flight?.abort()
  }

  function look(): void {
    if (session.value && isSeen()) void refresh()
    else clearTimeout(timer)
  }

  watch(
    () => session.value?.user.id,
    (userId) => {
      stop()
      videos.value = null
      isUnreachable.value = false
      failures = 0
      // Also for a page of one video, which is opened by its address.
      if (userId) void refresh()
    },
    { immediate: true },
  )
  watch(isWatched, look)

  document.addEventListener('visibilitychange', look)
  window.addEventListener('online', look)
  onScopeDispose(() => {
    stop()
    document.removeEventListener('visibilitychange', look)
    window.removeEventListener('online', look)
  })

  return { videos, isUnreachable: readonly(isUnreachable), refresh, add }
}
