import { buffer } from 'node:stream/consumers'
import { type ParseArgsConfig, parseArgs } from 'node:util'
import { Failure } from '../failure.ts'

/** A command line that cannot be carried out: exit status 2. */
export class UsageError extends Failure {}

type Option = { type: 'string' | 'boolean'; short?: string; value?: string; help: string }

export type Options = Record<string, Option>

/** What a command was told: its arguments in their order, its options by name. */
export type Input = { args: string[]; options: Record<string, string | boolean | undefined> }

export type Command = {
  /** Its arguments as the help shows them: `ID [DATA]`; those in brackets may be left out. */
  usage: string
  summary: string
  options: Options
  /** Rejects with what is told to the user in one line: exit status 1. */
  run: (input: Input) => Promise<void>
}

const HELP: Options = { help: { type: 'boolean', short: 'h', help: 'show this' } }

/** Carries out a command, or shows its help. */
export async function runCommand(name: string, command: Command, args: string[]): Promise<void> {
  const input = readInput(command, args)
  if (input.options.help) return print(helpOf(name, command))
  checkCount(command.usage, input.args)
  await command.run(input)
}

function readInput({ options }: Command, args: string[]): Input {
  try {
    const config: ParseArgsConfig = {
      args,
      options: { ...options, ...HELP } as ParseArgsConfig['options'],
      allowPositionals: true,
    }
    const { values, positionals } = parseArgs(config)
    return { args: positionals, options: values as Input['options'] }
  } catch (error) {
    throw new UsageError((error as Error).message.split('. ')[0])
  }
}

function checkCount(usage: string, args: string[]): void {
  const names = usage.split(' ').filter(Boolean)
  const needed = names.filter((name) => !name.startsWith('['))
  const missing = needed[args.length] ?? needed[args.findIndex((arg, i) => arg === '' && i < needed.length)]
  if (missing) throw new UsageError(`${missing} is missing`)
  if (args.length > names.length)
    throw new UsageError(`${args[names.length]} is too much: put data with spaces in quotes`)
}

function helpOf(name: string, { usage, summary, options }: Command): string {
  const rows = Object.entries({ ...options, ...HELP }).map(([option, { short, value, help }]) => [
    `  ${short ? `-${short}, ` : ''}--${option}${value ? ` ${value}` : ''}`,
    help,
  ])
  const width = Math.max(...rows.map(([left]) => left!.length))
  const lines = rows.map(([left, help]) => `${left!.padEnd(width)}  ${help}`)
  return [`framegate ${[name, usage].join(' ').trim()}`, '', summary, '', ...lines].join('\n')
}

/** A number that an option was given. */
export function numberOf(option: string, value: string | boolean | undefined): number | undefined {
  if (value === undefined) return undefined
  if (!/^\d{1,9}$/.test(String(value))) throw new UsageError(`--${option} takes a whole number`)
  return Number(value)
}

/** Data of a push: an argument, or standard input when there is none or it is `-`. */
export async function readData(argument: string | undefined, isBinary: boolean): Promise<string | Buffer> {
  if (argument !== undefined && argument !== '-') return isBinary ? Buffer.from(argument) : argument
  const bytes = await buffer(process.stdin)
  if (isBinary) return bytes
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes).replace(/\r?\n$/, '')
  } catch {
    throw new UsageError('standard input is not UTF-8: send it with --binary')
  }
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
