/**
 * What the matrix of clients and servers asks of a peer: an SSH implementation that is not ours, unmodified. One file
 * beside this one fills the interface for each peer; `matrix.ts` holds the cases, which know no peer by name.
 */
import type { ChildProcess } from 'node:child_process';

/** What a peer knows. A case says what it needs, and is not asked of a peer without it. */
export type Ability =
  | 'password'
  | 'keyboard-interactive'
  /** Several methods one after the other, all of which must succeed. */
  | 'sequence'
  /** OpenSSH user certificates. */
  | 'certificate'
  | 'environment'
  | 'pty'
  | 'subsystem'
  | 'sftp'
  /** Sessions at the same time on one connection. */
  | 'parallel'
  /** One connection from the server's side, carried by standard input and output (like `ssh -W`). */
  | 'connect'
  | 'connect-socket'
  /** Listeners on this side, and what they carry (like `ssh -L`). */
  | 'local-forward'
  | 'local-socket-forward'
  /** A SOCKS 5 server on this side (like `ssh -D`). */
  | 'dynamic-forward'
  /** Listeners on the server's side (like `ssh -R`). */
  | 'remote-forward'
  | 'remote-socket-forward'
  /** Carries on with a forwarded connection of which one side has ended. */
  | 'half-close'
  | 'agent'
  | 'x11'
  /** Exchanges keys anew by itself after a number of bytes sent (up, for a client), or received. */
  | 'rekey-up'
  | 'rekey-down'
  /** Lets one choose the key exchange method, the host key, the cipher and the MAC. */
  | 'choose-key-exchange'
  | 'choose-host-key'
  | 'choose-cipher';

/** The names of RFC 4253, section 7.1, in the peer's own order. `publicKeys`: what its user keys may sign with. */
export interface Algorithms {
  readonly kex: readonly string[];
  readonly hostKeys: readonly string[];
  readonly ciphers: readonly string[];
  readonly macs: readonly string[];
  readonly publicKeys: readonly string[];
}

/** What each algorithm must be in one connection; what is left out, the two sides agree on. */
export interface Choice {
  readonly kex?: string;
  readonly hostKey?: string;
  readonly cipher?: string;
  /** Of no effect with a cipher that authenticates by itself. */
  readonly mac?: string;
}

/** A private key in OpenSSH's format, the public line in `${file}.pub`. */
export interface KeyFile {
  readonly file: string;
  /** `ssh-ed25519 AAAA...`, without a comment. */
  readonly publicLine: string;
}

/** One authentication method (RFC 4252); a login is a list of them, to be done in order. */
export type LoginStep =
  | { readonly method: 'password'; readonly password: string }
  /** Every prompt is answered with the same words (RFC 4256). */
  | { readonly method: 'keyboard-interactive'; readonly answer: string }
  | {
      readonly method: 'publickey';
      readonly key: KeyFile;
      /** The file of a certificate for the key. */
      readonly certificate?: string;
      /** For an RSA key `rsa-sha2-256` or `rsa-sha2-512` (RFC 8332). */
      readonly signature?: string;
    };

export interface Connection {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Public lines of the host keys that the client is to believe, and no others. */
  readonly hostKeys: readonly string[];
  readonly login: readonly LoginStep[];
  readonly algorithms?: Choice;
  /** New keys after so many bytes in either direction. */
  readonly rekeyBytes?: number;
  /** The socket of an agent to forward. */
  readonly agent?: string;
  /** An X11 display to forward, such as `127.0.0.1:7`. */
  readonly x11?: string;
  /** A folder of the caller's, in which the client may leave files. */
  readonly folder: string;
}

export interface Session {
  /** With neither command nor subsystem it is a shell. */
  readonly command?: string;
  readonly subsystem?: string;
  /** The value of TERM, for a terminal of 80 columns and 24 rows. */
  readonly pty?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** Where a program's input comes from and its output goes to: words, or files of any size. */
export interface Streams {
  readonly stdin?: string | { readonly file: string };
  /** Without it, standard output is kept and returned. */
  readonly stdout?: { readonly file: string };
}

/** `code` is the remote command's exit status; 255 when the client itself failed. */
export interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A TCP port or a Unix socket. */
export type Place = { readonly host: string; readonly port: number } | { readonly path: string };

export interface Forward {
  readonly kind: 'local' | 'remote' | 'dynamic';
  readonly listen: Place;
  /** Left out when dynamic. */
  readonly to?: Place;
}

/** One file each way: `put` from here to there, `get` from there to here. */
interface Transfer {
  readonly kind: 'put' | 'get';
  readonly local: string;
  readonly remote: string;
}

/** A client that holds a connection, with a life of its own. */
export interface Running {
  readonly child: ChildProcess;
  /** Resolves when it has ended, by whatever cause. */
  readonly ended: Promise<Result>;
  readonly stop: () => Promise<Result>;
}

export interface ClientPeer {
  readonly name: string;
  readonly abilities: ReadonlySet<Ability>;
  /** Sets it up where that is needed (once, kept between runs). Why it cannot be had, and what it needs; else false. */
  readonly missing: () => Promise<string | false>;
  /** What it really knows, asked from the program itself where it can be. */
  readonly algorithms: () => Promise<Algorithms>;
  readonly run: (connection: Connection, session: Session, streams?: Streams) => Promise<Result>;
  /** A session whose input stays open: it is the caller's to write and end. */
  readonly start: (connection: Connection, session: Session) => Running;
  /** Standard input and output are a connection from the server's side to `to`. */
  readonly connect: (connection: Connection, to: Place, streams?: Streams) => Promise<Result>;
  readonly transfer: (connection: Connection, transfers: readonly Transfer[]) => Promise<Result>;
  /** Holds the listeners until it is stopped. They are there a while later: try until they answer. */
  readonly forward: (connection: Connection, forwards: readonly Forward[]) => Running;
  /** Runs all commands at the same time on one connection. Resolves to what each printed, in the commands' order. */
  readonly parallel: (connection: Connection, commands: readonly string[]) => Promise<Result[]>;
}

export interface ServerOptions {
  readonly hostKeys: readonly KeyFile[];
  readonly password: string;
  /** Lines of an authorized_keys file. */
  readonly authorizedKeys: readonly string[];
  /** The public line of an authority whose certificates are good for the user. */
  readonly authority?: string;
  /** Methods which must all succeed, such as `publickey,password`; any one is enough without it. */
  readonly methods?: string;
  readonly rekeyBytes?: number;
}

export interface RunningServer {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** A folder of the user's, by the same name on both sides. */
  readonly home: string;
  /** What the server wrote so far. */
  readonly log: () => string;
  /** How many exchanges of keys there were on all its connections; undefined when it does not say. */
  readonly exchanges?: () => number;
  readonly stop: () => Promise<void>;
}

export interface ServerPeer {
  readonly name: string;
  /** What clients may ask of it. */
  readonly abilities: ReadonlySet<Ability>;
  readonly missing: () => Promise<string | false>;
  readonly algorithms: () => Promise<Algorithms>;
  /** Listens on 127.0.0.1, on a port that was free. Its one user has an ordinary account that only it can see. */
  readonly start: (options: ServerOptions) => Promise<RunningServer>;
}
