// What every section of the bench stands on: the keys, the relays that can take part, and how they are measured in
// turns.

import { execFileSync } from 'node:child_process';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Figure } from '../main.ts';
import { progress, quantile } from '../statistics.ts';
import { goProgram } from './go-program.ts';
import { Keys } from './keys.ts';
import { OpenSsh } from './openssh.ts';
import { type Program, run, start } from './processes.ts';
import type { Relay, RunningRelay } from './relays/relay.ts';

export interface Contender {
  readonly name: string;
  readonly running: RunningRelay;
}

export interface Series {
  readonly name: string;
  readonly values: number[];
}

export class Stage {
  readonly keys = new Keys();
  readonly rounds: number;
  /** How many series, from the first on, the others are held against. */
  readonly floors: number;
  readonly #relays: readonly Relay[];

  /** @param relays `direct` first */
  constructor(relays: readonly Relay[], rounds: number, floors = 1) {
    this.#relays = relays;
    this.rounds = rounds;
    this.floors = floors;
  }

  /** Starts every relay before `upstreamPort`, and stops them when `use` is through. */
  async withRelays<T>(upstreamPort: number, use: (contenders: Contender[]) => Promise<T>): Promise<T> {
    const contenders: Contender[] = [];
    try {
      for (const relay of this.#relays) {
        const running = await relay.start({ keys: this.keys, upstreamPort });
        contenders.push({ name: relay.name, running });
      }
      return await use(contenders);
    } finally {
      for (const { running } of contenders) await running.stop();
    }
  }

  /** @param settings further lines of ssh_config */
  withClients(
    contenders: readonly Contender[],
    settings: readonly string[],
  ): (Contender & { readonly client: OpenSsh })[] {
    return contenders.map(({ name, running }) => {
      return { name, running, client: new OpenSsh(this.keys, running, settings) };
    });
  }

  /** As inTurns, with a process that has done nothing yet each time, and without `direct`, which has none. */
  inTurnsAfresh<T>(
    label: string,
    upstreamPort: number,
    measure: (contender: Contender, pid: number) => Promise<T>,
  ): Promise<{ name: string; values: T[] }[]> {
    return this.inTurns(label, this.#relays.slice(1), async (relay) => {
      const running = await relay.start({ keys: this.keys, upstreamPort });
      try {
        return await measure({ name: relay.name, running }, running.pid ?? 0);
      } finally {
        await running.stop();
      }
    });
  }

  /**
   * Measures all in turns, as many times as there are rounds, each round beginning with the next one: what else the
   * machine does then meets all alike.
   */
  async inTurns<C extends { readonly name: string }, T>(
    label: string,
    contenders: readonly C[],
    measure: (contender: C) => Promise<T>,
  ): Promise<{ name: string; values: T[] }[]> {
    progress(label);
    const series = contenders.map((contender) => ({ contender, name: contender.name, values: [] as T[] }));
    for (let round = 0; round < this.rounds; round += 1) {
      const first = round % series.length;
      for (const { contender, values } of [...series.slice(first), ...series.slice(0, first)]) {
        values.push(await measure(contender));
      }
    }
    return series.map(({ name, values }) => ({ name, values }));
  }

  /** A file of zeros that takes no room on the disk. */
  zeros(bytes: number): string {
    const file = join(this.keys.folder, `zeros_${bytes}`);
    writeFileSync(file, '');
    truncateSync(file, bytes);
    // Once through it, so that the first transfer finds it in memory as the later ones do.
    execFileSync('cat', [file], { stdio: 'ignore' });
    return file;
  }

  /** The server that costs little, for those sections where a stock sshd would be what is measured. */
  async startUpstream(keyExchange = ''): Promise<Program & { port: number }> {
    const server = await start(await goProgram(), [
      'server',
      `-host-key=${this.keys.upstreamHost}`,
      `-client-keys=${this.keys.upstreamAuthorized}`,
      `-authorities=${this.keys.upstreamAuthorities}`,
      `-principals=${this.keys.upstreamPrincipals}`,
      `-key-exchange=${keyExchange}`,
    ]);
    return { ...server, port: Number(server.firstLine) };
  }

  /** The command line of one of the clients in Go. */
  async goClient(command: string, { running }: Contender, ...more: string[]): Promise<[string, string[]]> {
    const jump = running.jumpTo === undefined ? [] : [`-jump-to=127.0.0.1:${running.jumpTo}`];
    const where = [`-address=127.0.0.1:${running.port}`, ...jump];
    const who = [`-user=${this.keys.user}`, `-key=${this.keys.client}`];
    return [await goProgram(), [command, ...where, ...who, ...more]];
  }

  async runGoClient<T>(command: string, contender: Contender, ...more: string[]): Promise<T> {
    return JSON.parse(await run(...(await this.goClient(command, contender, ...more)))) as T;
  }

  remove(): void {
    this.keys.remove();
  }
}

/** The median of each series. */
export function medians(label: string, unit: string, series: readonly Series[]): Figure[] {
  return series.map(({ name, values }) => ({
    name: `${label}: ${name}`,
    value: quantile(values, 0.5),
    unit,
  }));
}

/** The median of each series, and of its ratios, round by round, to each of the first `floors` that stand before it. */
export function mediansAndRatios(
  label: string,
  unit: string,
  series: readonly Series[],
  floors: number,
): Figure[] {
  const ratios = series.slice(0, floors).flatMap((floor, place) =>
    series.slice(place + 1).map(({ name, values }) => ({
      name: `${label}: ${name} / ${floor.name}`,
      value: quantile(
        values.map((value, round) => value / (floor.values[round] ?? NaN)),
        0.5,
      ),
      unit: 'times',
    })),
  );
  return [...medians(label, unit, series), ...ratios];
}
