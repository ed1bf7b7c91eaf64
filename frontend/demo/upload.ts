/** Sends a recording.  By XMLHttpRequest, as fetch does not tell how much of a body has been sent. */

import { token } from './session'
import type { Video } from './videos'

/** The server's own limit: a larger file would be refused after all of it was sent. */
export const LARGEST_BYTES = 200 * 2 ** 20

export class UploadError extends Error {}

export async function upload(
  file: File,
  { onShare, signal }: { onShare: (share: number) => void; signal: AbortSignal },
): Promise<Video> {
  if (file.size === 0) throw new UploadError('The file is empty.')
  if (file.size > LARGEST_BYTES) throw new UploadError('The file is larger than 200 MB.')
  let answer = await send(file, await token({ forceRefresh: false }), onShare, signal)
  if (answer.status === 401) answer = await send(file, await token({ forceRefresh: true }), onShare, signal)
  if (answer.status !== 201) throw new UploadError(reasonIn(answer.text))
  return JSON.parse(answer.text) as Video
}

function send(
  file: File,
  bearer: string | null,
  onShare: (share: number) => void,
  signal: AbortSignal,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    request.open('POST', `/api/videos?filename=${encodeURIComponent(file.name)}`)
    request.setRequestHeader('Authorization', `Bearer ${bearer ?? ''}`)
    request.setRequestHeader('Content-Type', 'application/octet-stream')
    request.upload.onprogress = ({ loaded, total }) => onShare(total ? loaded / total : 0)
    request.onload = () => resolve({ status: request.status, text: request.responseText })
    request.onerror = () => reject(new UploadError('The server cannot be reached.'))
    request.onabort = () => reject(signal.reason)
    signal.addEventListener('abort', () => request.abort(), { once: true })
    request.send(file)
  })
}

/** The `detail` of a problem (RFC 9457); other answers come from something in between. */
function reasonIn(text: string): string {
  try {
    const { detail } = JSON.parse(text) as { detail?: unknown }
    if (typeof detail === 'string') return detail
  } catch {
    // Not JSON.
  }
  return 'The server did not take the file.'
}
