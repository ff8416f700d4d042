import { join } from 'node:path'
import ts from 'typescript'
import { fromRoot, root } from '../workspace.js'
import type { Fence } from './extract.js'

function strictOptions(): ts.CompilerOptions {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => ts.sys.readFile(path)) as {
    config: unknown
  }
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root)
  // A reader writes `process.env.DISCORD_TOKEN`; that our own code may not is a matter of house style.
  const relaxed = { noPropertyAccessFromIndexSignature: false }
  return { ...options, ...relaxed, noEmit: true, moduleDetection: ts.ModuleDetectionKind.Force }
}

/** Compiles all TypeScript fences in one program, each beside its document, so that imports resolve as they do there. */
export function typecheckFences(fences: readonly Fence[]): string[] {
  const byPath = new Map<string, Fence>()
  for (const fence of fences) {
    if (fence.language === 'ts') byPath.set(join(root, `${fence.file}.L${fence.line}.ts`), fence)
  }
  const options = strictOptions()
  const disk = ts.createCompilerHost(options)
  const host: ts.CompilerHost = {
    ...disk,
    fileExists: (path) => byPath.has(path) || disk.fileExists(path),
    readFile: (path) => byPath.get(path)?.code ?? disk.readFile(path),
    getSourceFile: (path, target, ...rest) => {
      const code = byPath.get(path)?.code
      return code === undefined ? disk.getSourceFile(path, target, ...rest) : ts.createSourceFile(path, code, target)
    },
  }
  const program = ts.createProgram([...byPath.keys()], options, host)
  return ts.getPreEmitDiagnostics(program).map(({ file, start = 0, code, messageText }) => {
    const message = `TS${code}: ${ts.flattenDiagnosticMessageText(messageText, '\n  ')}`
    if (file === undefined) return message
    const { line, character } = file.getLineAndCharacterOfPosition(start)
    const document = byPath.get(file.fileName)?.file ?? fromRoot(file.fileName)
    return `${document}:${line + 1}:${character + 1} ${message}`
  })
}
