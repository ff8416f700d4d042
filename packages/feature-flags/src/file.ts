export { flagFile } from './file/flag-file.js'
export { flagFileDefaults } from './file/flag-file-options.js'
export type { FlagFileOptions } from './file/flag-file-options.js'
