/**
 * The browser's terminal: what page and server say to each other over one WebSocket (GET .../terminal), and the sessions
 * that live inside an environment.
 *
 * A session goes on without anybody. The page says how many bytes of its output it has, and gets what follows; the server
 * says how many bytes of the page's input were taken, and gets the rest again: so a connection that is cut loses nothing
 * and doubles nothing. Binary messages are bytes, the program's to the page and typed ones to the program; text messages
 * are JSON, as below.
 */
import Type from 'typebox';
import type { Static } from 'typebox';
import type { TerminalEnd } from './vocabulary.ts';

export const SessionId = Type.String({
  pattern: '^[a-z0-9]{8,32}$',
  maxLength: 32,
  description: 'made by whoever begins the session',
});

const columns = Type.Integer({ minimum: 2, maximum: 1000 });
const rows = Type.Integer({ minimum: 1, maximum: 1000 });
const offset = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

export const TerminalQuery = Type.Object(
  {
    session: SessionId,
    new: Type.Optional(
      Type.Boolean({ description: 'begin it where there is none; otherwise that is refused' }),
    ),
    from: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: Number.MAX_SAFE_INTEGER,
        default: 0,
        description: 'bytes of output that the page has',
      }),
    ),
    writer: Type.String({
      pattern: '^[0-9a-f]{16}$',
      maxLength: 16,
      description: 'whose input it is: made once by a page, the same after a cut',
    }),
    columns,
    rows,
    wake: Type.Optional(
      Type.Boolean({ description: 'start the environment where it is stopped; otherwise that is refused' }),
    ),
  },
  { additionalProperties: false },
);
export type TerminalQuery = Static<typeof TerminalQuery>;

export const PageMessage = Type.Union([
  Type.Object({ type: Type.Literal('size'), columns, rows }, { additionalProperties: false }),
  /** All output before that offset was shown; what is not acknowledged is bounded by `terminalWindowBytes`. */
  Type.Object({ type: Type.Literal('taken'), offset }, { additionalProperties: false }),
  /** Whether the program waits where the page does not keep up. It does until told otherwise, as by a hidden page. */
  Type.Object({ type: Type.Literal('hold'), hold: Type.Boolean() }, { additionalProperties: false }),
  /** Goes, and does not come back soon; the session goes on. */
  Type.Object({ type: Type.Literal('leave') }, { additionalProperties: false }),
]);
export type PageMessage = Static<typeof PageMessage>;

export type ServerMessage =
  /** The environment is being started. */
  | { type: 'progress'; message: string; seconds: number }
  /**
   * The first before any output. `offset` is that of what follows, which does not go on from what the page has where there
   * is a gap: then the page begins anew, with `modes`. What comes before `end` was said before. Where the session does not last, it ends with the connection.
   */
  | {
      type: 'ready';
      offset: number;
      end: number;
      gap: boolean;
      modes: string;
      taken: number;
      columns: number;
      rows: number;
      lasts: boolean;
    }
  /** Bytes of this page's input that the session has taken. */
  | { type: 'taken'; offset: number }
  /** Another page has given the session this size. */
  | { type: 'size'; columns: number; rows: number }
  /** The shell has ended, and with it the session. */
  | { type: 'exit'; status: number | null; signal: string | null }
  /** Last: why the server closes the connection. */
  | { type: 'end'; why: TerminalEnd; sentence: string };

export const TerminalSession = Type.Object(
  {
    session: SessionId,
    started_at: Type.String({ format: 'date-time' }),
    attached: Type.Integer({ description: 'pages that show it' }),
    columns: Type.Integer(),
    rows: Type.Integer(),
    ended: Type.Boolean({ description: 'its end waits for somebody to see it' }),
    command: Type.String({ description: 'what runs in the foreground' }),
    folder: Type.String({ description: 'where; empty: not known' }),
  },
  { $id: 'TerminalSession' },
);
export type TerminalSession = Static<typeof TerminalSession>;

export const TerminalSessions = Type.Object(
  {
    items: Type.Array(TerminalSession),
    lasting: Type.Boolean({
      description: "false: the image has no keeper, and sessions end with their page's connection",
    }),
  },
  { $id: 'TerminalSessions' },
);
export type TerminalSessions = Static<typeof TerminalSessions>;
