/**
 * What a user is told: `off` is switched off for now, `resting` is not served in the mode in force, `maintenance` is the
 * same while the mode is MAINTENANCE, `busy` has no place for one more, `unclear` may have worked or not, `failed` has not.
 */
export type PoliteKind = 'off' | 'resting' | 'maintenance' | 'busy' | 'unclear' | 'failed'

/** All of them. */
export const politeKinds: readonly PoliteKind[] = ['off', 'resting', 'maintenance', 'busy', 'unclear', 'failed']

/** What a text is made from. */
export interface PoliteFacts {
  /** What cannot be served, as the user knows it: `/translate`; undefined when that is not known. */
  readonly command: string | undefined
  /** When to try again, in words of the user's language: `in 2 minutes`; undefined when nobody knows. */
  readonly again: string | undefined
  /** The same in ms. */
  readonly retryAfterMs: number | undefined
}

/** Makes the words for one kind. */
export type PoliteText = (facts: PoliteFacts) => string

/** The words of one language; what is left out is said as evenkeel says it. */
export type PoliteTexts = Readonly<Partial<Record<PoliteKind, PoliteText>>>

/** The languages that evenkeel speaks by itself. English stands in for all others. */
export const builtInTexts: ReadonlyMap<string, Readonly<Record<PoliteKind, PoliteText>>> = new Map([
  [
    'en',
    {
      off: ({ command = 'This' }) => `${command} is switched off at the moment.`,
      resting: ({ command = 'This', again = 'later' }) => `${command} is taking a break. Please try again ${again}.`,
      maintenance: ({ command = 'This', again = 'later' }) =>
        `${command} is closed for maintenance. Please try again ${again}.`,
      busy: ({ again = 'in a moment' }) => `Too much is going on just now. Please try again ${again}.`,
      unclear: () => 'This took too long, and it may or may not have worked. Please check before you try again.',
      failed: () => 'Sorry, something went wrong.',
    },
  ],
  [
    'de',
    {
      off: ({ command = 'Das' }) => `${command} ist zurzeit abgeschaltet.`,
      resting: ({ command = 'Das', again = 'später' }) =>
        `${command} macht gerade Pause. Bitte versuche es ${again} noch einmal.`,
      maintenance: ({ command = 'Das', again = 'später' }) =>
        `${command} wird gerade gewartet. Bitte versuche es ${again} noch einmal.`,
      busy: ({ again = 'gleich' }) => `Gerade ist zu viel los. Bitte versuche es ${again} noch einmal.`,
      unclear: () =>
        'Das hat zu lange gedauert und ist vielleicht geschehen. Bitte sieh nach, bevor du es noch einmal versuchst.',
      failed: () => 'Entschuldige, da ist etwas schiefgegangen.',
    },
  ],
  [
    'fr',
    {
      off: ({ command = 'Ceci' }) => `${command} est désactivé pour le moment.`,
      resting: ({ command = 'Ceci', again = 'plus tard' }) => `${command} fait une pause. Merci de réessayer ${again}.`,
      maintenance: ({ command = 'Ceci', again = 'plus tard' }) =>
        `${command} est en maintenance. Merci de réessayer ${again}.`,
      busy: ({ again = 'dans un instant' }) => `Il y a trop de demandes en ce moment. Merci de réessayer ${again}.`,
      unclear: () =>
        'La réponse a trop tardé, et on ne sait pas si cela a marché. Merci de vérifier avant de réessayer.',
      failed: () => 'Désolé, quelque chose n’a pas marché.',
    },
  ],
  [
    'es',
    {
      off: ({ command = 'Esto' }) => `${command} está desactivado por ahora.`,
      resting: ({ command = 'Esto', again = 'más tarde' }) => `${command} está en pausa. Inténtalo de nuevo ${again}.`,
      maintenance: ({ command = 'Esto', again = 'más tarde' }) =>
        `${command} está en mantenimiento. Inténtalo de nuevo ${again}.`,
      busy: ({ again = 'dentro de un momento' }) =>
        `Hay demasiadas peticiones ahora mismo. Inténtalo de nuevo ${again}.`,
      unclear: () => 'Ha tardado demasiado y no se sabe si ha funcionado. Compruébalo antes de intentarlo de nuevo.',
      failed: () => 'Lo siento, algo ha salido mal.',
    },
  ],
])

/** From a language tag to the tags that may stand in for it: `pt-BR`, then `pt`. */
export function* languages(locale: string | undefined): Generator<string> {
  for (let tag = locale ?? ''; tag !== ''; tag = tag.slice(0, Math.max(0, tag.lastIndexOf('-')))) yield tag
}
