// The modes of a terminal as pty-req carries them (RFC 4254, section 8; IUTF8 from RFC 8160): an opcode and a
// number each, until TTY_OP_END. Used by both sides of a session.

import { Reader, Writer } from '../wire.ts';

const opcodes = {
  VINTR: 1,
  VQUIT: 2,
  VERASE: 3,
  VKILL: 4,
  VEOF: 5,
  VEOL: 6,
  VEOL2: 7,
  VSTART: 8,
  VSTOP: 9,
  VSUSP: 10,
  VDSUSP: 11,
  VREPRINT: 12,
  VWERASE: 13,
  VLNEXT: 14,
  VFLUSH: 15,
  VSWTCH: 16,
  VSTATUS: 17,
  VDISCARD: 18,
  IGNPAR: 30,
  PARMRK: 31,
  INPCK: 32,
  ISTRIP: 33,
  INLCR: 34,
  IGNCR: 35,
  ICRNL: 36,
  IUCLC: 37,
  IXON: 38,
  IXANY: 39,
  IXOFF: 40,
  IMAXBEL: 41,
  IUTF8: 42,
  ISIG: 50,
  ICANON: 51,
  XCASE: 52,
  ECHO: 53,
  ECHOE: 54,
  ECHOK: 55,
  ECHONL: 56,
  NOFLSH: 57,
  TOSTOP: 58,
  IEXTEN: 59,
  ECHOCTL: 60,
  ECHOKE: 61,
  PENDIN: 62,
  OPOST: 70,
  OLCUC: 71,
  ONLCR: 72,
  OCRNL: 73,
  ONOCR: 74,
  ONLRET: 75,
  CS7: 90,
  CS8: 91,
  PARENB: 92,
  PARODD: 93,
  /** Baud rates, in bits a second. */
  TTY_OP_ISPEED: 128,
  TTY_OP_OSPEED: 129,
} as const;

export type TerminalMode = keyof typeof opcodes;

/** What each mode is set to, by the RFC's name: 0 or 1, a character (255 for none), or a baud rate. */
export type TerminalModes = Partial<Record<TerminalMode, number>>;

const names = new Map(Object.entries(opcodes).map(([name, code]) => [code as number, name as TerminalMode]));
const end = 0;
// From this opcode on the arguments are not known, so nothing behind one can be read.
const firstWithoutArgument = 160;

/** Modes without a name here are left out. Throws WireError for an argument that is cut off. */
export function parseTerminalModes(bytes: Uint8Array): TerminalModes {
  const modes: TerminalModes = {};
  const reader = new Reader(bytes);
  // OpenSSH takes a list without its end, and so do we.
  while (reader.remaining > 0) {
    const code = reader.byte('terminal mode');
    if (code === end || code >= firstWithoutArgument) break;
    const value = reader.uint32('argument of a terminal mode');
    const name = names.get(code);
    if (name !== undefined) modes[name] = value;
  }
  return modes;
}

export function formatTerminalModes(modes: TerminalModes): Buffer {
  const writer = new Writer();
  for (const [name, value] of Object.entries(modes)) {
    writer.byte(opcodes[name as TerminalMode]).uint32(value);
  }
  return writer.byte(end).toBuffer();
}
