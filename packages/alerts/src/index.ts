export { type Accounting, Alerts, flushDefaults, type Flushed, type FlushOptions } from './alerts.js'
export { alertsDefaults, type AlertsOptions } from './options.js'
export type { AlertInput, ReportOptions } from './intake.js'
export type { RaisedAlert } from './raised-alert.js'
export type { AlertMessage, AlertNotice, Labels, NoticeKind, Severity } from './alert.js'
export type { Matching, Selection, Silence, SilenceInput } from './silences.js'
export type { Route } from './routing.js'
export type { AlertsEvents, AlertsNews, DeadNews, DeliveredNews } from './events.js'
export type { AlertsComponent, AlertsStatus } from './channel-health.js'

export { type Channel, channelDefaults, type ChannelOptions, type SendReport } from './channels/channel.js'
export { consoleChannel, type ConsoleChannelOptions } from './channels/console-channel.js'
export { fileChannel, fileChannelDefaults, type FileChannelOptions } from './channels/file-channel.js'
export { webhookChannel, type WebhookChannelOptions, type WebhookPayload } from './channels/webhook-channel.js'
export { type SignedRequest, verifyWebhook, verifyWebhookDefaults } from './channels/signature.js'
export { discordChannel, type DiscordChannelOptions } from './channels/discord-channel.js'
export type { DiscordEmbed, DiscordField, DiscordPayload } from './channels/discord-payload.js'
export { slackChannel, type SlackChannelOptions } from './channels/slack-channel.js'
export type { SlackBlock, SlackPayload, SlackText } from './channels/slack-payload.js'

export {
  DeliveryError,
  type DeliveryFailure,
  type DeliveryScope,
  MissingPackageError,
  SpoolFormatError,
  SpoolLockedError,
} from './errors.js'
export type { Clock, LineSink, NewsSource, WatchedComponent, WatchedNews } from './ports.js'
