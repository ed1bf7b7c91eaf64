/**
 * What a page downloads, beside Vue, before the generator shows its first state, in English and with its style; and what
 * comes after that.  Measured on an application that uses the packed components as README.md says, built as Vite builds
 * by default, each file gzipped.
 *
 * Fails when the first is over the budget, or when there is nothing that comes later.  `npm run check:size`, which builds
 * the components first.
 */

import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

import { build } from 'vite'

const FIRST_BYTES = 15_000

const PACKAGE = join(import.meta.dirname, '..')
const PAGE = `
import { createAiVideoClient, install } from 'ai-video-vue'
import 'ai-video-vue/style.css'
import { createApp } from 'vue'

const client = createAiVideoClient({ baseUrl: '/api' })
createApp({ template: '<AiVideoGenerator video-id="1" />' }).use({ install }, { client }).mount('#page')
`

async function built() {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'ai-video-page-')))
  try {
    mkdirSync(join(folder, 'node_modules'))
    symlinkSync(PACKAGE, join(folder, 'node_modules', 'ai-video-vue'))
    const page = join(folder, 'page.js')
    writeFileSync(page, PAGE)
    // Otherwise counted are what an application has anyway: Vue, and an old browser's way of preloading.
    const { output } = await build({
      root: folder,
      configFile: false,
      logLevel: 'warn',
      build: { write: false, modulePreload: { polyfill: false }, rollupOptions: { input: page, external: ['vue'] } },
    })
    return output
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const output = await built()
const files = new Map(output.map((file) => [file.fileName, file]))

/** A file, and every one that a browser must have before it runs that. */
function neededBy(name, found = new Set()) {
  const chunk = files.get(name)
  if (!chunk || found.has(name)) return found
  found.add(name)
  chunk.imports.forEach((imported) => neededBy(imported, found))
  chunk.viteMetadata.importedCss.forEach((style) => found.add(style))
  return found
}

function told(title, names) {
  console.log(title)
  const sizes = names.map((name) => {
    const { code, source } = files.get(name)
    const size = gzipSync(code ?? source, { level: 9 }).length
    console.log(`${String(size).padStart(8)} ${name.replace(/^assets\//, '').replace(/-[\w-]{8}\./, '.')}`)
    return size
  })
  return sizes.reduce((sum, size) => sum + size, 0)
}

function fail(what) {
  console.error(what)
  process.exitCode = 1
}

const entry = output.find((file) => file.isEntry)
const first = neededBy(entry.fileName)
const later = [...files.keys()].filter((name) => !first.has(name))

const firstBytes = told('before the first state, bytes gzipped', [...first])
const laterBytes = told('meanwhile', later)
console.log(`${firstBytes} of ${FIRST_BYTES} at first, ${firstBytes + laterBytes} in the whole`)

if (firstBytes > FIRST_BYTES) fail(`over the budget by ${firstBytes - FIRST_BYTES} bytes`)
if (![...first].some((name) => name.endsWith('.css'))) fail('the style was not measured')
if (later.length !== 1) fail(`one file is to come later, not ${later.length}: is src/parts.ts imported statically?`)
