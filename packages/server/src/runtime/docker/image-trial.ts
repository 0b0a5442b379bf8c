/**
 * Looks into an image by running scripts in throwaway containers of it: no network, no capability, nothing to write to
 * but a little memory, and 30 seconds each. What they print is not trusted.
 */
import type Docker from 'dockerode';
import { generateHostKey } from '@berth/ssh';
import type { ImageFinding } from '@berth/contract';
import { checkScript, judge, missing, rootlessScript, scratchFolders } from '../image-check.ts';
import { engineMessage, hasStatus } from './errors.ts';
import { userId } from './hand-over.ts';
import { containerLog } from './log.ts';

const trialLabel = 'berth.image-check';

const longestMs = 30_000;
const mostLines = 1000;

export async function tryImage(
  docker: Docker,
  reference: string,
  labels: Record<string, string>,
  signal: AbortSignal,
): Promise<ImageFinding[]> {
  await removeTrials(docker, labels);
  const { Config } = await docker.getImage(reference).inspect();
  const hostKey = generateHostKey().privateKeyOpenSsh;
  const facts = await runScript(docker, reference, labels, checkScript(hostKey), 0, signal);
  if (facts === null) {
    return [
      missing(
        'shell',
        'It has no /bin/sh that runs on this host.',
        'Use a base with a shell, built for the processor of this host.',
      ),
    ];
  }
  const rootlessFacts = await runScript(docker, reference, labels, rootlessScript(hostKey), userId, signal);
  const start = { entrypoint: [Config.Entrypoint ?? []].flat(), user: Config.User };
  return judge(start, facts, rootlessFacts ?? []);
}

/** @returns the lines that it printed; null: the image has no shell that runs here */
async function runScript(
  docker: Docker,
  reference: string,
  labels: Record<string, string>,
  script: string,
  user: number,
  signal: AbortSignal,
): Promise<string[] | null> {
  const container = await docker.createContainer({
    Image: reference,
    Labels: { ...labels, [trialLabel]: 'true' },
    Entrypoint: ['/bin/sh', '-c', script],
    Cmd: [],
    User: `${user}:${user}`,
    WorkingDir: '/',
    Healthcheck: { Test: ['NONE'] },
    HostConfig: {
      NetworkMode: 'none',
      ReadonlyRootfs: true,
      Tmpfs: Object.fromEntries(
        scratchFolders.map((folder) => [folder, `size=1m,mode=755,uid=${user},gid=${user}`]),
      ),
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      Memory: 256 * 1024 ** 2,
      MemorySwap: 256 * 1024 ** 2,
      NanoCpus: 1e9,
      PidsLimit: 64,
      LogConfig: { Type: 'json-file', Config: { 'max-size': '1m', 'max-file': '1' } },
    },
  });
  try {
    try {
      await container.start();
    } catch (error) {
      if (!hasStatus(error, 400) && !/exec format error/.test(engineMessage(error))) throw error;
      return null;
    }
    const ended = container.wait().catch(() => undefined);
    const late = AbortSignal.any([signal, AbortSignal.timeout(longestMs)]);
    await Promise.race([
      ended,
      new Promise<void>((resolve) => late.addEventListener('abort', () => resolve(), { once: true })),
    ]);
    signal.throwIfAborted();
    const lines: string[] = [];
    for await (const line of containerLog(container, { tail: mostLines, follow: false, signal }))
      lines.push(
        line
          .slice(0, 200)
          .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
          .trim(),
      );
    return lines;
  } finally {
    await container.remove({ force: true, v: true });
  }
}

/** Those that a server left behind which was killed meanwhile; younger ones may be at work for another server. */
async function removeTrials(docker: Docker, labels: Record<string, string>): Promise<void> {
  const label = [...Object.entries(labels).map(([name, value]) => `${name}=${value}`), trialLabel];
  const found = await docker.listContainers({ all: true, filters: { label } });
  const old = found.filter(({ Created }) => Date.now() / 1000 - Created > (2 * longestMs) / 1000);
  await Promise.all(
    old.map(({ Id }) =>
      docker
        .getContainer(Id)
        .remove({ force: true, v: true })
        .catch(() => undefined),
    ),
  );
}
