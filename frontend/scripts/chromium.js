/** How the system's Chromium is found and started; scripts/chromium.sh of the project installs it. */

import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome']

/** The one that `CHROMIUM` names, or the system's: Playwright's own would be a download, and plays no H.264. */
function chromium() {
  const folders = (process.env.PATH ?? '').split(delimiter)
  const candidates = [process.env.CHROMIUM, ...NAMES.flatMap((name) => folders.map((folder) => join(folder, name)))]
  const found = candidates.find((path) => path && isProgram(path))
  if (!found) throw new Error('no Chromium: scripts/chromium.sh installs it, or CHROMIUM names one')
  return found
}

/** @param {string} path */
function isProgram(path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** For Playwright's `launch`. */
export const launchOptions = {
  executablePath: chromium(),
  // In a container there is neither a namespace for the sandbox nor room in /dev/shm.
  args: ['--no-sandbox', '--disable-dev-shm-usage'],
}
