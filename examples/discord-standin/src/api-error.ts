import { RESTJSONErrorCodes } from 'discord-api-types/v10'

/** A call that Discord refuses: the HTTP status, its own code, and the fields at fault. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly status: number
  readonly code: number
  readonly errors: unknown

  constructor(status: number, code: number, message: string, errors?: unknown) {
    super(message)
    this.status = status
    this.code = code
    this.errors = errors
  }

  /** As the body of the answer. */
  toJSON(): { message: string; code: number; errors?: unknown } {
    const { message, code, errors } = this
    return errors === undefined ? { message, code } : { message, code, errors }
  }
}

/** 404 for a thing that is not there, such as `Unknown Channel`. */
export function unknown(code: RESTJSONErrorCodes, what: string): ApiError {
  return new ApiError(404, code, `Unknown ${what}`)
}

/** 400 for one field of the body that breaks a rule. */
export function invalidField(field: string, code: string, message: string): ApiError {
  const errors = { [field]: { _errors: [{ code, message }] } }
  return new ApiError(400, RESTJSONErrorCodes.InvalidFormBodyOrContentType, 'Invalid Form Body', errors)
}
