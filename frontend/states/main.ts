import { createApp } from 'vue'

import StatesPage from './StatesPage.vue'

createApp(StatesPage).mount('#page')
