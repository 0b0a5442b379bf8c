/**
 * Whether the host's firewall lets a newcomer through to a port, by its nftables rules (nft(8), libnftables-json(5)).
 *
 * A packet that was never sent is walked through the chains that a real one would meet. What a rule asks for is true, false,
 * or not to be told from here, such as the interface it comes by; where the outcome hangs on that, it is unclear. What was
 * made by the old iptables, beside nf_tables, is not seen.
 */
import { isIPv6 } from 'node:net';
import type Docker from 'dockerode';
import { readNetwork, covers } from '@berth/contract';
import { RuntimeError } from '../runtime.ts';
import type { FirewallAnswer } from '../runtime.ts';
import { outputOf } from './exec.ts';
import { guardName } from './network.ts';

/** The way back to the newcomer is the way by which it comes: the one that a reply would take. */
const script = 'ip -oneline route get "$1" 2>&1 | head -n 1; exec nft -j list ruleset';
const mostBytes = 8 * 1024 * 1024;
const deepestJump = 16;

interface Chain {
  family: string;
  table: string;
  name: string;
  type?: string;
  hook?: string;
  prio?: number;
  policy?: string;
}
type Expression = Record<string, unknown>;
interface Rule {
  family: string;
  table: string;
  chain: string;
  expr: Expression[];
}
interface NamedSet {
  family: string;
  table: string;
  name: string;
  elem?: unknown[];
}
/** A list of things, each an object of one name. */
type Ruleset = { chain?: Chain; rule?: Rule; set?: NamedSet; map?: NamedSet }[];

/** `may return`: what comes after in the chain is met or not. */
type Verdict = 'accept' | 'drop' | 'return' | 'may return';

/** Not there: it cannot be told. */
type Tri = boolean | undefined;

export interface Newcomer {
  /** An address. */
  source: string;
  port: number;
  /** Whether the host itself is addressed in the end; otherwise the port leads to a container. */
  toHost: boolean;
}

/** @throws RuntimeError when the rules cannot be read */
export async function firewallAnswer(
  docker: Docker,
  installationId: string,
  newcomer: Newcomer,
  signal: AbortSignal,
): Promise<FirewallAnswer> {
  const command = ['/bin/sh', '-c', script, 'look', newcomer.source];
  const printed = await outputOf(docker, guardName(installationId), command, { signal, mostBytes });
  const [route = '', rules = ''] = printed.split('\n');
  let ruleset: Ruleset;
  try {
    ({ nftables: ruleset } = JSON.parse(rules) as { nftables: Ruleset });
  } catch (error) {
    throw new RuntimeError(
      'other',
      'The rules of the firewall cannot be read.',
      'Look at them by hand: nft list ruleset',
      { cause: error },
    );
  }
  return walk(ruleset, { ...newcomer, interfaceName: / dev (\S+)/.exec(route)?.[1] });
}

/** @param newcomer.interfaceName by which it comes; undefined: not known */
export function walk(
  ruleset: Ruleset,
  newcomer: Newcomer & { interfaceName: string | undefined },
): FirewallAnswer {
  const hooks = ['prerouting', ...(newcomer.toHost ? ['input'] : [])];
  const family = isIPv6(newcomer.source) ? 'ip6' : 'ip';
  const chains = ruleset
    .flatMap(({ chain }) => (chain ? [chain] : []))
    .filter(
      ({ type, hook = '', family: of }) =>
        type === 'filter' && hooks.includes(hook) && [family, 'inet'].includes(of),
    )
    .toSorted(
      (one, other) =>
        hooks.indexOf(one.hook ?? '') - hooks.indexOf(other.hook ?? '') ||
        (one.prio ?? 0) - (other.prio ?? 0),
    );
  let unclear: FirewallAnswer | undefined;
  for (const chain of chains) {
    const passage = new Passage(ruleset, chain, newcomer);
    const outcome = passage.through();
    const { table, name } = chain;
    if (outcome === 'drop') return { outcome: 'drops', table, chain: name };
    if (outcome === 'unclear') unclear ??= { outcome: 'unclear', table, chain: name };
  }
  return unclear ?? { outcome: 'passes' };
}

/** Through one base chain and all that it jumps to. */
class Passage {
  readonly #ruleset: Ruleset;
  readonly #chain: Chain;
  readonly #newcomer: Parameters<typeof walk>[1];
  /** Whether a rule that may or may not hold would have let it through, or stopped it. */
  #mayPass = false;
  #mayDrop = false;

  constructor(ruleset: Ruleset, chain: Chain, newcomer: Parameters<typeof walk>[1]) {
    this.#ruleset = ruleset;
    this.#chain = chain;
    this.#newcomer = newcomer;
  }

  through(): 'pass' | 'drop' | 'unclear' {
    const verdict =
      this.#rulesOf(this.#chain.name, true, 0) ?? (this.#chain.policy === 'drop' ? 'drop' : 'accept');
    if (verdict === 'drop') return this.#mayPass ? 'unclear' : 'drop';
    return this.#mayDrop ? 'unclear' : 'pass';
  }

  /** @param sure whether the chain is met at all. @returns undefined: it comes out at the end of the chain */
  #rulesOf(name: string, isMet: boolean, depth: number): 'accept' | 'drop' | undefined {
    if (depth > deepestJump) return undefined;
    const { family, table } = this.#chain;
    let sure = isMet;
    for (const { rule } of this.#ruleset) {
      if (rule?.chain !== name || rule.table !== table || rule.family !== family) continue;
      const verdict = this.#rule(rule.expr, sure, depth);
      if (verdict === 'return') return undefined;
      if (verdict === 'may return') sure = false;
      else if (verdict !== undefined) return verdict;
    }
    return undefined;
  }

  #rule(expressions: Expression[], isMet: boolean, depth: number): Verdict | undefined {
    let sure = isMet;
    for (const expression of expressions) {
      const [kind = '', body] = Object.entries(expression)[0] ?? [];
      if (kind === 'match') {
        const holds = this.#matches(body as Match);
        if (holds === false) return undefined;
        if (holds === undefined) sure = false;
      } else if (kind === 'vmap') {
        const verdict = this.#byMap(body as { key: unknown; data: unknown }, sure, depth);
        if (verdict !== 'none') return verdict;
      } else if (kind === 'limit' || kind === 'xt' || kind === 'connlimit' || kind === 'ct count') {
        sure = false;
      } else {
        const verdict = this.#verdict(kind, body, sure, depth);
        if (verdict !== 'none') return verdict;
      }
    }
    return undefined;
  }

  /** `none`: it is none, and the rule goes on. */
  #verdict(kind: string, body: unknown, sure: boolean, depth: number): Verdict | undefined | 'none' {
    switch (kind) {
      case 'accept':
        if (sure) return 'accept';
        this.#mayPass = true;
        return undefined;
      case 'drop':
      case 'reject':
        if (sure) return 'drop';
        this.#mayDrop = true;
        return undefined;
      case 'return':
        return sure ? 'return' : 'may return';
      case 'jump':
      case 'goto': {
        const { target = '' } = body as { target?: string };
        const verdict = this.#rulesOf(target, sure, depth + 1);
        if (verdict !== undefined) return verdict;
        if (kind === 'jump') return undefined;
        return sure ? 'return' : 'may return';
      }
      default:
        // Counters, marks, logs.
        return 'none';
    }
  }

  #byMap(
    { key, data }: { key: unknown; data: unknown },
    sure: boolean,
    depth: number,
  ): Verdict | undefined | 'none' {
    const value = this.#valueOf(key);
    const pairs = this.#elementsOf(data);
    if (value === undefined || pairs === undefined) {
      this.#mayDrop = true;
      this.#mayPass = true;
      return undefined;
    }
    for (const pair of pairs) {
      const [wanted, verdict] = pair as [unknown, Expression];
      const holds = this.#equals(value, wanted);
      if (holds === false) continue;
      const [kind = '', body] = Object.entries(verdict ?? {})[0] ?? [];
      const outcome = this.#verdict(kind, body, sure && holds === true, depth);
      if (holds === true) return outcome;
    }
    return 'none';
  }

  #matches({ op, left, right }: Match): Tri {
    const value = this.#valueOf(left);
    if (value === undefined) return undefined;
    const holds = this.#isAmong(value, right);
    if (op === '!=') return holds === undefined ? undefined : !holds;
    return op === '==' || op === 'in' ? holds : undefined;
  }

  #isAmong(value: Value, right: unknown): Tri {
    const elements = this.#elementsOf(right);
    if (elements === undefined) return undefined;
    const answers = elements.map((each) => this.#equals(value, each));
    if (answers.includes(true)) return true;
    return answers.includes(undefined) ? undefined : false;
  }

  /** A set, named or not, or the one thing; undefined: there is no such set. */
  #elementsOf(right: unknown): unknown[] | undefined {
    if (Array.isArray(right)) return right;
    if (typeof right === 'string' && right.startsWith('@')) {
      const { family, table } = this.#chain;
      const named = this.#ruleset
        .flatMap(({ set, map }) => ((set ?? map) ? [(set ?? map) as NamedSet] : []))
        .find((each) => each.name === right.slice(1) && each.table === table && each.family === family);
      return named && (named.elem ?? []);
    }
    const { set } = (right ?? {}) as { set?: unknown };
    return Array.isArray(set) ? set : set === undefined ? [right] : this.#elementsOf(set);
  }

  /** Of the newcomer; undefined: it cannot be told. */
  #valueOf(left: unknown): Value | undefined {
    const { payload, meta, ct, fib, concat } = (left ?? {}) as {
      payload?: { protocol?: string; field?: string };
      meta?: { key?: string };
      ct?: { key?: string };
      fib?: { result?: string; flags?: string[] | string };
      concat?: unknown[];
    };
    const { source, port } = this.#newcomer;
    const isSix = isIPv6(source);
    if (payload?.field === 'dport' && (payload.protocol === 'tcp' || payload.protocol === 'th'))
      return { one: port };
    // A field of a protocol that the packet is not of never holds.
    if (payload?.protocol === 'udp' || payload?.protocol === 'icmp' || payload?.protocol === 'icmpv6')
      return { one: null };
    if (payload?.field === 'saddr' && (payload.protocol === 'ip' || payload.protocol === 'ip6'))
      return { one: (payload.protocol === 'ip6') === isSix ? source : null };
    if (payload?.field === 'protocol' || payload?.field === 'nexthdr') return { one: 'tcp' };
    if (meta?.key === 'nfproto') return { one: isSix ? 'ipv6' : 'ipv4' };
    if (meta?.key === 'protocol') return { one: isSix ? 'ip6' : 'ip' };
    if (meta?.key === 'l4proto') return { one: 'tcp' };
    if (meta?.key === 'iifname' || meta?.key === 'iif') {
      const { interfaceName } = this.#newcomer;
      return interfaceName === undefined ? undefined : { interface: interfaceName };
    }
    if (ct?.key === 'state') return { one: 'new' };
    if (ct?.key === 'direction') return { one: 'original' };
    if (ct?.key === 'status') return { one: null };
    if (fib?.result === 'type' && [fib.flags].flat().includes('daddr')) return { one: 'local' };
    if (Array.isArray(concat)) {
      const parts = concat.map((each) => this.#valueOf(each));
      return parts.some((each) => each === undefined) ? undefined : { all: parts as Value[] };
    }
    return undefined;
  }

  #equals(value: Value, element: unknown): Tri {
    const { elem } = (element ?? {}) as { elem?: { val?: unknown } };
    if (elem !== undefined) return this.#equals(value, elem.val);
    if ('all' in value) {
      const { concat } = (element ?? {}) as { concat?: unknown[] };
      if (concat === undefined || concat.length !== value.all.length) return undefined;
      const answers = value.all.map((each, index) => this.#equals(each, concat[index]));
      if (answers.includes(false)) return false;
      return answers.includes(undefined) ? undefined : true;
    }
    if ('interface' in value) return isNamed(value.interface, String(element));
    return isEqual(value.one, element);
  }
}

interface Match {
  op: string;
  left: unknown;
  right: unknown;
}

/** What is known of something: what it is (null: nothing that a rule could name), or its parts. */
type Value = { one: string | number | null } | { interface: string } | { all: Value[] };

/** `berth-*` is every name that begins so. */
function isNamed(name: string, pattern: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

function isEqual(known: string | number | null, element: unknown): Tri {
  if (known === null) return false;
  if (typeof element === 'string' || typeof element === 'number') {
    if (typeof known === 'number') return known === Number(element);
    return known === String(element) || isWithin(known, String(element));
  }
  const { prefix, range } = (element ?? {}) as {
    prefix?: { addr?: unknown; len?: unknown };
    range?: [unknown, unknown];
  };
  if (prefix !== undefined) return isWithin(String(known), `${String(prefix.addr)}/${String(prefix.len)}`);
  if (range === undefined) return undefined;
  const [first, last] = range;
  if (typeof known === 'number') return Number(first) <= known && known <= Number(last);
  return isBetween(known, String(first), String(last));
}

function isWithin(address: string, network: string): boolean {
  try {
    return covers(readNetwork(network), address);
  } catch {
    // It is none: the name of a state, a protocol, an interface.
    return false;
  }
}

function isBetween(address: string, first: string, last: string): Tri {
  try {
    const [from, at, to] = [first, address, last].map((each) => readNetwork(each));
    if (!from || !at || !to || from.family !== at.family) return false;
    return from.first <= at.first && at.first <= to.first;
  } catch {
    return undefined;
  }
}
