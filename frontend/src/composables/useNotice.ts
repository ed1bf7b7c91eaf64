/** Telling somebody who is looking elsewhere: a notification of the desktop, and the title of the page. */

import { computed, onScopeDispose, ref, toValue, watch, type MaybeRefOrGetter } from 'vue'

/**
 * A notification of the desktop, shown once to somebody who asked for it and is looking elsewhere.
 *
 * `ask` has to be called from a click: browsers refuse the question otherwise, some for good.
 */
export function useNotification() {
  const isSupported = typeof Notification !== 'undefined'
  const permission = ref<NotificationPermission>(isSupported ? Notification.permission : 'denied')
  const isWanted = ref(false)

  async function ask(): Promise<void> {
    if (permission.value === 'default') permission.value = await Notification.requestPermission()
    isWanted.value = permission.value === 'granted'
  }

  function tell(title: string, body: string, tag: string): void {
    if (!isWanted.value || document.visibilityState !== 'hidden') return
    isWanted.value = false
    // Android's browsers have the constructor and refuse its use outside a service worker.
    try {
      const shown = new Notification(title, { body, tag })
      shown.onclick = () => window.focus()
    } catch (error) {
      if (!(error instanceof TypeError)) throw error
    }
  }

  return { isSupported, permission, isWanted: computed(() => isWanted.value), ask, tell }
}

/** Puts `(46%)` before the page's title while there is a percent, and takes it away again. */
export function useTitlePercent(percent: MaybeRefOrGetter<number | null>): void {
  const clear = () => {
    document.title = document.title.replace(/^\(\d+%\) /, '')
  }
  watch(
    () => toValue(percent),
    (now) => {
      if (typeof document === 'undefined') return
      clear()
      if (now !== null) document.title = `(${now}%) ${document.title}`
    },
    { immediate: true },
  )
  onScopeDispose(() => {
    if (typeof document !== 'undefined') clear()
  })
}
