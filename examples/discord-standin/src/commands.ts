import {
  ApplicationCommandType,
  type APIApplicationCommand,
  type RESTPostAPIApplicationCommandsJSONBody,
} from 'discord-api-types/v10'
import type { World } from './world.js'

/** The slash commands that the bot has registered, globally and for single guilds. */
export class Commands {
  readonly #world: World
  readonly #newId: () => string
  readonly #byScope = new Map<string, APIApplicationCommand[]>()

  constructor(world: World, newId: () => string) {
    this.#world = world
    this.#newId = newId
  }

  /** @param scope - a guild's id, or `global` */
  list(scope: string): readonly APIApplicationCommand[] {
    return this.#byScope.get(scope) ?? []
  }

  /** Replaces all commands of a scope; one that keeps its name keeps its id. */
  replace(scope: string, wanted: readonly RESTPostAPIApplicationCommandsJSONBody[]): readonly APIApplicationCommand[] {
    const before = this.list(scope)
    const registered = wanted.map((command) => {
      const id = before.find(({ name }) => name === command.name)?.id ?? this.#newId()
      return {
        description: '',
        default_member_permissions: null,
        ...command,
        id,
        application_id: this.#world.botId,
        version: this.#newId(),
        type: command.type ?? ApplicationCommandType.ChatInput,
        ...(scope === 'global' ? {} : { guild_id: scope }),
      } as APIApplicationCommand
    })
    this.#byScope.set(scope, registered)
    return registered
  }

  /** The id that an interaction names; of a command that was never registered, a new one. */
  idOf(guildId: string, name: string): string {
    const command = [...this.list(guildId), ...this.list('global')].find((command) => command.name === name)
    return command?.id ?? this.#newId()
  }
}
