/** The options of `npm run bench`. */
import { parseArgs } from 'node:util'
import { Failure } from './processes.ts'

export type Options = {
  /** Names of the sections to run, in order. */
  only: string[]
  /** How many sockets send at the same time; each number is a cell of the table. */
  sockets: number[]
  /** How many sockets pushes go to; each number is a cell of the table. */
  subscribers: number[]
  /** Length of one round, after the warm-up. */
  seconds: number
  /** Length of the warm-up, in seconds. */
  warmUp: number
  rounds: number
  /** How many idle sockets are held to measure their memory. */
  idle: number
  /** How many idle sockets are held beside the few of the section active. */
  others: number
  json: boolean
  help: boolean
}

export const HELP = `npm run bench -- [options]
  --only=frames,push   sections to run, of frames, sizes, json, tls, active, idle, push, fanout, compressed, subscribed,
                       cache, signed, traces, streams, cluster (all)
  --sockets=1,64,512   sockets that send at once
  --subscribers=1000,10000   sockets that pushes go to
  --seconds=3          of one round
  --warm-up=1          seconds before each round
  --rounds=3           of which the median counts
  --idle=5000          sockets that are held for their memory
  --others=10000       idle sockets beside the few of the section active
  --json               for machines: every row with the figures of its rounds`

/** Reads the command line. Throws a Failure that names what was expected. */
export function readOptions(args: string[], sections: string[]): Options {
  const values = parse(args)
  const only = values.only.split(',')
  for (const name of only) {
    if (name !== '' && !sections.includes(name))
      throw new Failure(`--only=${name}: expected some of ${sections.join(',')}`)
  }
  return {
    only: only[0] === '' ? sections : only,
    sockets: values.sockets.split(',').map((text) => number('sockets', text, 1, 10000)),
    subscribers: values.subscribers.split(',').map((text) => number('subscribers', text, 1, 15000)),
    // The classic recipe keeps some 13 KB for each frame until its socket closes, so a long round would use up all memory.
    seconds: number('seconds', values.seconds, 0.1, 20),
    warmUp: number('warm-up', values['warm-up'], 0.1, 20),
    rounds: number('rounds', values.rounds, 1, 100),
    idle: number('idle', values.idle, 1, 100000),
    others: number('others', values.others, 1, 15000),
    json: values.json,
    help: values.help,
  }
}

function parse(args: string[]) {
  const text = (value: string) => ({ type: 'string', default: value }) as const
  const flag = { type: 'boolean', default: false } as const
  try {
    return parseArgs({
      args,
      options: {
        only: text(''),
        sockets: text('1,64,512'),
        subscribers: text('1000,10000'),
        seconds: text('3'),
        'warm-up': text('1'),
        rounds: text('3'),
        idle: text('5000'),
        others: text('10000'),
        json: flag,
        help: flag,
      },
    }).values
  } catch (error) {
    throw new Failure(`${(error as Error).message}\n${HELP}`)
  }
}

function number(name: string, text: string, least: number, most: number): number {
  const value = Number(text)
  if (text === '' || !(value >= least && value <= most))
    throw new Failure(`--${name}=${text}: expected a number from ${least} to ${most}`)
  return value
}
