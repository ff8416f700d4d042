import { DefaultRestOptions } from 'discord.js'

// Loaded before a bot of a README: its client, made as for the real Discord, talks to the stand-in instead.
Object.assign(DefaultRestOptions, { api: process.env['DISCORD_API'] })
