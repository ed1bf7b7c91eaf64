import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  plugins: [vue()],
  test: {
    environment: 'jsdom',
    include: ['tests/**/*.test.ts'],
    setupFiles: ['tests/setup.ts'],
    // Hours pass in some tests, second by second; a busy machine may take its time for that.
    testTimeout: 30_000,
    restoreMocks: true,
    unstubGlobals: true,
    coverage: { include: ['src/**'], exclude: ['src/api-types.ts'] },
  },
})
