import { createAiVideoClient, install } from 'ai-video-vue'
import { createApp } from 'vue'

import App from './App.vue'
import { token } from './session'

const client = createAiVideoClient({ baseUrl: '/api', getToken: token })

createApp(App).use({ install }, { client }).mount('#gallery')
