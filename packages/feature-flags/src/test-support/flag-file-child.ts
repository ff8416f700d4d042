// Starts a file of flags and leaves it so: the process must end by itself.
import { flagFile } from '../file/flag-file.js'

const [, , path = ''] = process.argv
await flagFile(path).start({
  apply: (document) => console.log(JSON.stringify(document)),
  refuse: (error) => console.log(error.message),
})
