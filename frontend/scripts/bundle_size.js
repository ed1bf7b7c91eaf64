/**
 * What a page downloads that shows the components in English, beside Vue: minified as its own build would, gzipped.
 *
 * Fails when a part is over its budget.  `npm run check:size`, which builds first.
 */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

import { minifySync } from 'vite'

const DIST = join(import.meta.dirname, '..', 'dist')
const KIB = 1024

const minified = (name, text) => (name.endsWith('.js') ? minifySync(name, text, { module: true }).code : text)

const BUDGETS = { 'index.js': 15 * KIB, 'en.js': 3 * KIB, 'style.css': 4 * KIB }

let total = 0
for (const [name, budget] of Object.entries(BUDGETS)) {
  const size = gzipSync(minified(name, readFileSync(join(DIST, name), 'utf8')), { level: 9 }).length
  total += size
  console.log(`${name} ${(size / KIB).toFixed(2)} of ${budget / KIB} KiB`)
  if (size > budget) {
    console.error(`${name} is over its budget by ${size - budget} bytes`)
    process.exitCode = 1
  }
}
console.log(`together ${(total / KIB).toFixed(2)} KiB`)
