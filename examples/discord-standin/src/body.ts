import { RESTJSONErrorCodes } from 'discord-api-types/v10'
import { ApiError } from './api-error.js'

/**
 * The JSON of a request: its whole body or, when files come with it, the part named `payload_json`. Files themselves
 * are read and dropped.
 *
 * @throws {@link ApiError} 50109 when it is not JSON
 */
export function parseBody(raw: Buffer, contentType = ''): unknown {
  if (raw.length === 0) return {}
  const text = contentType.startsWith('multipart/') ? payloadPart(raw.toString('latin1')) : raw.toString('utf8')
  try {
    return JSON.parse(text)
  } catch {
    const code = RESTJSONErrorCodes.RequestBodyContainsInvalidJSON
    throw new ApiError(400, code, 'The request body contains invalid JSON.')
  }
}

function payloadPart(form: string): string {
  const part = /name="payload_json"[^]*?\r\n\r\n([^]*?)\r\n--/.exec(form)?.[1] ?? '{}'
  return Buffer.from(part, 'latin1').toString('utf8')
}
