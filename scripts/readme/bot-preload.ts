import { DefaultRestOptions as ofRest } from '@discordjs/rest'
import { DefaultRestOptions } from 'discord.js'

// Loaded before a bot of a README: its client, made as for the real Discord, talks to the stand-in instead. A bot may take the REST
// client without discord.js, which is another copy of it.
for (const defaults of [DefaultRestOptions, ofRest]) Object.assign(defaults, { api: process.env['DISCORD_API'] })
