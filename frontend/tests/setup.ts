/** What jsdom 26 lacks of a browser. */

import { afterEach, beforeEach, vi } from 'vitest'

// The file that the generator downloads is there at once; useParts.test.ts and missing.test.ts try where it is not.
import '../src/parts'

// The states of a dialog, without the inert page around it: that is tried in a real browser.
HTMLDialogElement.prototype.showModal = function showModal() {
  this.open = true
}
HTMLDialogElement.prototype.close = function close() {
  if (!this.open) return
  this.open = false
  this.dispatchEvent(new Event('close'))
}
HTMLMediaElement.prototype.load = () => undefined

beforeEach(() => {
  vi.useFakeTimers({ now: new Date('2026-11-22T12:00:30Z') })
  // The middle of every jitter.
  vi.spyOn(Math, 'random').mockReturnValue(0.5)
})

afterEach(() => {
  vi.useRealTimers()
  document.body.innerHTML = ''
})
