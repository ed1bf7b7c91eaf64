import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'

export default defineConfig({
  // What never changes is small here; kept apart for re-use it costs 0.8 kB (gzipped) and saves nothing that shows.
  plugins: [vue({ template: { compilerOptions: { hoistStatic: false } } })],
  build: {
    // A language that nobody asked for is nobody's download: each beside English is an entry of its own.
    lib: {
      entry: { index: 'src/index.ts', parts: 'src/parts.ts', en: 'src/i18n/en.ts', de: 'src/i18n/de.ts' },
      formats: ['es'],
      cssFileName: 'style',
    },
    // Module by module: which of them a page needs at first, and which in the file that comes later, only its own build
    // can tell.  `check:size` holds what comes of it.
    rollupOptions: { external: ['vue'], output: { preserveModules: true, preserveModulesRoot: 'src' } },
    target: 'es2022',
    // The first versions that know light-dark(); for older ones it would be rewritten so that `data-theme` has no effect.
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    emptyOutDir: true,
  },
})
