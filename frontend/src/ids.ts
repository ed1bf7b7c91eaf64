/** Ids for elements that name one another.  (`useId` is younger than the oldest Vue this runs on.) */

let last = 0

export function newId(): string {
  last += 1
  return `ai-video-${last}`
}
