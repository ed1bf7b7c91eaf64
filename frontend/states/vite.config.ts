import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'

export default defineConfig({
  root: import.meta.dirname,
  plugins: [vue()],
  // The fixtures lie beside this project, not in it.
  server: { host: '127.0.0.1', fs: { allow: ['../..'] } },
})
