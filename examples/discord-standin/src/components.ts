import { ButtonStyle, ComponentType, type APIMessage } from 'discord-api-types/v10'
import { invalidField } from './api-error.js'

const maxRows = 5
const maxInRow = 5
const maxCustomIdLength = 100
/** A button of these is pressed; those of the others lead to a page or a purchase, and the bot hears of neither. */
const pressable: ReadonlySet<unknown> = new Set([
  ButtonStyle.Primary,
  ButtonStyle.Secondary,
  ButtonStyle.Success,
  ButtonStyle.Danger,
])

/** What is read of a component, of whatever kind. It came as JSON, and no compiler has looked at it. */
interface Component {
  readonly type?: unknown
  readonly style?: unknown
  readonly custom_id?: unknown
  readonly url?: unknown
  readonly disabled?: unknown
  readonly components?: readonly Component[]
  readonly accessory?: Component
}

/** A button that can be pressed. */
export interface Button {
  readonly customId: string
  readonly isDisabled: boolean
}

/** The buttons of a message that can be pressed, in rows or beside a section. */
export function buttonsOf({ components }: Pick<APIMessage, 'components'>): Button[] {
  return allOf((components ?? []) as readonly Component[])
    .filter(({ type, style }) => type === ComponentType.Button && pressable.has(style))
    .map((button) => ({ customId: String(button.custom_id), isDisabled: button.disabled === true }))
}

/**
 * Refuses rows that are empty, too full or too many, and buttons that nobody could press or tell apart.
 *
 * @throws {@link ApiError} 50035
 */
export function checkComponents(components: readonly unknown[]): void {
  const all = allOf(components as readonly Component[])
  const rows = (components as readonly Component[]).filter(({ type }) => type === ComponentType.ActionRow)
  if (rows.length > maxRows) throw refused('BASE_TYPE_BAD_LENGTH', `Must be between 1 and ${maxRows} in length.`)
  for (const component of all) {
    if (component.type === ComponentType.ActionRow) checkRow(component)
    if (component.type === ComponentType.Button) checkButton(component)
  }
  const customIds = all.flatMap(({ custom_id: customId }) => (customId === undefined ? [] : [customId]))
  if (new Set(customIds).size < customIds.length) {
    throw refused('COMPONENT_CUSTOM_ID_DUPLICATED', 'Component custom id cannot be duplicated')
  }
}

function checkRow({ components = [] }: Component): void {
  if (components.length >= 1 && components.length <= maxInRow) return
  throw refused('BASE_TYPE_BAD_LENGTH', `Must be between 1 and ${maxInRow} in length.`)
}

function checkButton({ style, custom_id: customId, url }: Component): void {
  if (style === ButtonStyle.Link && url === undefined) {
    throw refused('BUTTON_COMPONENT_URL_REQUIRED', 'A url is required')
  }
  if (style === ButtonStyle.Link || style === ButtonStyle.Premium) return
  if (!pressable.has(style)) throw refused('BASE_TYPE_CHOICES', 'Value must be one of (1, 2, 3, 4, 5, 6).')
  if (customId === undefined) throw refused('BUTTON_COMPONENT_CUSTOM_ID_REQUIRED', 'A custom id is required')
  if (typeof customId !== 'string' || customId.length < 1 || customId.length > maxCustomIdLength) {
    throw refused('BASE_TYPE_BAD_LENGTH', `Must be between 1 and ${maxCustomIdLength} in length.`)
  }
}

/** With those that are within others. */
function allOf(components: readonly Component[]): Component[] {
  return components.flatMap((component) => [
    component,
    ...allOf(component.components ?? []),
    ...(component.accessory === undefined ? [] : [component.accessory]),
  ])
}

function refused(code: string, message: string): Error {
  return invalidField('components', code, message)
}
