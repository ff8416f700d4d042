import { folderPrefix } from '../migration/leftovers.js'

// Says what a folder of this process is called.

process.stdout.write(await folderPrefix())
