/** The ways in of a browser: the terminal and JupyterLab, each as a visit that somebody who is signed in pays. */
import { setTimeout as pause } from 'node:timers/promises';
import type { TestBerth } from './berth.ts';
import { LabPage, Visitor } from './jupyter.ts';
import { TerminalPage } from './terminal.ts';

export const browserWays = ['terminal', 'jupyter'] as const;
export type BrowserWay = (typeof browserWays)[number];

export interface Visitors {
  berth: TestBerth;
  /** Id of the environment. */
  environment: string;
  /** Of an account that may use it. */
  token: string;
  /** Address that the browser comes from. */
  source: string;
}

export interface BrowserVisit {
  /** What the person reads in the place of the environment; null: in. */
  readonly refusal: string | null;
  /** Whether the connection of the page is closed. */
  readonly isOver: boolean;
  /** Has so many bytes shown by a program inside. */
  draw(bytes: number): Promise<void>;
  /** What the page does by itself once it has lost its connection. @returns whether it is in again */
  comeBack(): Promise<boolean>;
  leave(): void;
}

/** As a person opens it. */
export function pay(way: BrowserWay, visitors: Visitors): Promise<BrowserVisit> {
  return way === 'terminal' ? payTerminal(visitors) : payJupyter(visitors);
}

const waitMs = 60_000;

async function payTerminal({ berth, environment, token, source }: Visitors): Promise<BrowserVisit> {
  const { host, port } = berth.httpAddress;
  const page = new TerminalPage({
    ...{ origin: `http://${host}:${port}`, environment, localAddress: source },
    headers: { authorization: `Bearer ${token}` },
  });
  const outcome = async (): Promise<string | null> => {
    await page.until(() => page.isReady || !page.isOpen, waitMs, 'answer');
    return page.isReady ? null : (await page.hears('end')).sentence;
  };
  await page.connect({ wake: true });
  const refusal = await outcome();
  return {
    refusal,
    get isOver() {
      return !page.isOpen;
    },
    async draw(bytes) {
      page.forget();
      const before = page.offset;
      page.type(`head -c ${bytes} /dev/zero | tr '\\0' x\r`);
      await page.until(() => page.offset - before > bytes, waitMs, `${bytes} bytes`);
    },
    async comeBack() {
      await page.connect();
      return (await outcome()) === null;
    },
    leave: () => page.cut(),
  };
}

async function payJupyter({ berth, environment, token, source }: Visitors): Promise<BrowserVisit> {
  const visitor = new Visitor(berth.httpAddress, { authorization: `Bearer ${token}` }, source);
  const lab = await visitor.enter(environment);
  const page = await lab.loaded();
  const isIn = page.status === 200;
  const terminal = isIn ? await (await LabPage.load(lab)).terminal() : null;
  let bytes = 0;
  terminal?.on('message', (data: Buffer) => (bytes += data.length));
  return {
    refusal: isIn ? null : (/<p lang="en">(.*?)<\/p>/s.exec(page.body)?.[1] ?? page.body),
    get isOver() {
      return terminal === null || terminal.readyState === terminal.CLOSED;
    },
    async draw(wanted) {
      terminal?.send(JSON.stringify(['stdin', `head -c ${wanted} /dev/zero | tr '\\0' x\r`]));
      for (const deadline = Date.now() + waitMs; bytes < wanted; await pause(20))
        if (Date.now() > deadline) throw new Error(`${bytes} of ${wanted} bytes came`);
    },
    comeBack: async () => (await lab.ask(`/jupyter/${environment}/api/status`)).status === 200,
    leave: () => terminal?.terminate(),
  };
}
