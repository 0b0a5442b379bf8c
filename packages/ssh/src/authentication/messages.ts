// The messages of the authentication protocol (RFC 4252), of keyboard-interactive (RFC 4256) and of OpenSSH's
// publickey-hostbound-v00@openssh.com (PROTOCOL, section 3.1). Read and written by both sides; each reader takes a
// whole payload from its message number on and throws WireError.

import { message } from '../transport/messages.ts';
import { Reader, Writer } from '../wire.ts';

export const userauthService = 'ssh-userauth';
/** The only service that anybody logs in for (RFC 4254). */
export const connectionService = 'ssh-connection';

/** A publickey request that names the server's host key as well, so that it is of no use to another server. */
export const hostboundMethod = 'publickey-hostbound-v00@openssh.com';
/** The extension (RFC 8308) by which a server says that it knows `hostboundMethod`, and its only value. */
export const hostboundExtension = { name: 'publickey-hostbound@openssh.com', value: '0' } as const;

// 60 means what the method of the request says (RFC 4252, section 6).
const methodSpecific = message.userauthPkOk;

export interface UserauthRequest {
  readonly user: string;
  readonly service: string;
  readonly method: string;
  /** What the method is told. */
  readonly fields: Reader;
}

/** One set of questions of keyboard-interactive. */
export interface PromptRound {
  readonly name?: string;
  readonly instruction?: string;
  readonly prompts: readonly Prompt[];
}

export interface Prompt {
  readonly text: string;
  /** Whether what is typed may be seen. */
  readonly echo: boolean;
}

/**
 * Whether a message of this number belongs to authentication. Once somebody is logged in, such a message is left over
 * from before and is ignored in silence (RFC 4252, section 5.1).
 */
export function isAuthenticationMessage(number: number): boolean {
  return number >= message.userauthRequest && number < message.globalRequest;
}

function readerOf(payload: Buffer): Reader {
  const reader = new Reader(payload);
  reader.byte('message number');
  return reader;
}

/** SSH_MSG_SERVICE_REQUEST and SSH_MSG_SERVICE_ACCEPT alike. */
export function readService(payload: Buffer): string {
  const reader = readerOf(payload);
  const service = reader.text('service name');
  reader.end('service message');
  return service;
}

export function formatService(
  number: typeof message.serviceRequest | typeof message.serviceAccept,
  service: string,
): Buffer {
  return new Writer().byte(number).string(service).toBuffer();
}

export function readRequest(payload: Buffer): UserauthRequest {
  const fields = readerOf(payload);
  const user = fields.text('user name');
  const service = fields.text('service name');
  const method = fields.text('method name');
  return { user, service, method, fields };
}

/** The start of a request; what the method needs is written after it. */
export function startRequest(user: string, method: string): Writer {
  return new Writer().byte(message.userauthRequest).string(user).string(connectionService).string(method);
}

/** What the signature of a publickey request is over: the session, and the request up to the signature. */
export function signedBytes(sessionId: Buffer, request: Uint8Array): Buffer {
  return new Writer().string(sessionId).bytes(request).toBuffer();
}

export function formatFailure(methods: readonly string[], isPartial: boolean): Buffer {
  return new Writer().byte(message.userauthFailure).nameList(methods).boolean(isPartial).toBuffer();
}

export function readFailure(payload: Buffer): { methods: string[]; isPartial: boolean } {
  const reader = readerOf(payload);
  const methods = reader.nameList('methods that can continue');
  const isPartial = reader.boolean('partial success');
  reader.end('failure');
  return { methods, isPartial };
}

export function formatSuccess(): Buffer {
  return Buffer.from([message.userauthSuccess]);
}

/** Lines end as RFC 4252, section 5.4, wants them, the last one too. */
export function formatBanner(text: string): Buffer {
  const lines = text.replace(/\r?\n$/, '').replaceAll(/\r?\n/g, '\r\n');
  return new Writer().byte(message.userauthBanner).string(`${lines}\r\n`).string('').toBuffer();
}

/** The text as it came, but for bytes that are no UTF-8: a server's greeting is no reason to end a login. */
export function readBanner(payload: Buffer): string {
  const reader = readerOf(payload);
  const text = reader.string('banner').toString('utf8');
  reader.string('language tag');
  reader.end('banner');
  return text;
}

export function formatPkOk(algorithm: string, blob: Buffer): Buffer {
  return new Writer().byte(methodSpecific).string(algorithm).string(blob).toBuffer();
}

export function readPkOk(payload: Buffer): { algorithm: string; blob: Buffer } {
  const reader = readerOf(payload);
  const algorithm = reader.text('public key algorithm');
  const blob = reader.string('public key');
  reader.end('PK_OK');
  return { algorithm, blob };
}

export function formatPasswordChangeRequest(prompt: string): Buffer {
  return new Writer().byte(methodSpecific).string(prompt).string('').toBuffer();
}

export function readPasswordChangeRequest(payload: Buffer): string {
  const reader = readerOf(payload);
  const prompt = reader.text('prompt');
  reader.string('language tag');
  reader.end('PASSWD_CHANGEREQ');
  return prompt;
}

export function formatInfoRequest({ name = '', instruction = '', prompts }: PromptRound): Buffer {
  const writer = new Writer().byte(methodSpecific).string(name).string(instruction).string('');
  writer.uint32(prompts.length);
  for (const { text, echo } of prompts) writer.string(text).boolean(echo);
  return writer.toBuffer();
}

export function readInfoRequest(payload: Buffer): Required<PromptRound> {
  const reader = readerOf(payload);
  const name = reader.text('name');
  const instruction = reader.text('instruction');
  reader.string('language tag');
  const count = reader.uint32('number of prompts');
  const prompts: Prompt[] = [];
  for (let index = 0; index < count; index += 1) {
    prompts.push({ text: reader.text('prompt'), echo: reader.boolean('echo') });
  }
  reader.end('INFO_REQUEST');
  return { name, instruction, prompts };
}

export function formatInfoResponse(answers: readonly string[]): Buffer {
  const writer = new Writer().byte(message.userauthInfoResponse).uint32(answers.length);
  for (const answer of answers) writer.string(answer);
  return writer.toBuffer();
}

/** The answers as bytes, since they may be passwords of any encoding. */
export function readInfoResponse(payload: Buffer): Buffer[] {
  const reader = readerOf(payload);
  const count = reader.uint32('number of answers');
  const answers: Buffer[] = [];
  for (let index = 0; index < count; index += 1) answers.push(reader.string('answer'));
  reader.end('INFO_RESPONSE');
  return answers;
}
