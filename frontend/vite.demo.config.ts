import { fileURLToPath } from 'node:url'

import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url))

// Where `worker serve` listens, for `npm run demo`; the built page is served by it.
const WORKER = process.env.WORKER_URL ?? 'http://127.0.0.1:8080'

export default defineConfig({
  root: at('demo'),
  plugins: [vue()],
  // As an application would import it, from its source.
  resolve: { alias: { 'ai-video-vue': at('src/index.ts') } },
  build: {
    outDir: at('dist-demo'),
    emptyOutDir: true,
    target: 'es2022',
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    // The page's policy allows nothing inline; everything comes from the server's own address.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // It warns of a slow build wherever the machine is busy.
    rollupOptions: { checks: { pluginTimings: false } },
  },
  // The name in the address stays: the worker signs addresses for whoever asks.
  server: { host: '127.0.0.1', proxy: { '/api': { target: WORKER }, '/media': { target: WORKER } } },
})
