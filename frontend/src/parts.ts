/**
 * What nobody sees before the server's first answer: a file of its own, which the generator downloads meanwhile.
 *
 * One file and not one for each: a page is left open for hours, and the gallery may be deployed anew in that time.  What
 * a finished job needs has to be there before it is finished, for then the address of an old file may lead nowhere.
 */

export { default as AiVideoConfirm } from './components/AiVideoConfirm.vue'
export { default as AiVideoError } from './components/AiVideoError.vue'
export { default as AiVideoFailure } from './components/AiVideoFailure.vue'
export { default as AiVideoForm } from './components/AiVideoForm.vue'
export { default as AiVideoNews } from './components/AiVideoNews.vue'
export { default as AiVideoOrder } from './components/AiVideoOrder.vue'
export { default as AiVideoPlayer } from './components/AiVideoPlayer.vue'
export { default as AiVideoProblemNote } from './components/AiVideoProblemNote.vue'
export { default as AiVideoProgress } from './components/AiVideoProgress.vue'
export { default as AiVideoResult } from './components/AiVideoResult.vue'
export { default as AiVideoReview } from './components/AiVideoReview.vue'
