import { faultsOf, inParallel, tool } from './shell.js'
import { packages } from './workspace.js'

/** Compiles the workspace as a whole, and each package alone, where `isolatedDeclarations` holds. */
export async function checkTypes(): Promise<string[]> {
  const projects = ['.', ...packages.map(({ folder }) => folder)]
  const faults = await inParallel(2, projects, async (project) =>
    faultsOf(await tool('tsc', ['--project', project, '--noEmit', '--pretty', 'false'])),
  )
  // What is wrong in a package is wrong in the workspace too: tell it once.
  return [...new Set(faults.flat().flatMap((output) => output.split(/\n(?=\S)/)))]
}
