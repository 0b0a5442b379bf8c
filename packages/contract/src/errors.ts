/**
 * The catalogue of errors that cross a process boundary.
 *
 * Each answer of the API that is not a success is an RFC 9457 problem document made from one entry here:
 * `title` says what kind of thing happened, the answer's `detail` says what happened this time, `cure` says
 * what to do. The codes are stable; the command maps them to exit codes.
 */
import Type from 'typebox';
import type { Static } from 'typebox';

interface Entry {
  status: number;
  title: string;
  cure: string;
}

export const errorCatalogue = {
  bad_request: {
    status: 400,
    title: 'The request is not what this route takes',
    cure: 'Correct the named field and send the request again.',
  },
  authorization_pending: {
    status: 400,
    title: 'Nobody has approved the sign-in yet',
    cure: 'Ask again after the interval; the person opens the address and approves the code there.',
  },
  slow_down: {
    status: 400,
    title: 'The sign-in was asked about too soon',
    cure: 'Wait five seconds longer between two questions.',
  },
  expired_token: {
    status: 400,
    title: 'The sign-in is over or was never begun',
    cure: 'Begin a new one with POST /api/device/authorization.',
  },
  access_denied: {
    status: 400,
    title: 'The sign-in was refused in the browser',
    cure: 'If that was a mistake, begin a new one.',
  },
  unauthorized: {
    status: 401,
    title: 'Nobody is signed in',
    cure: 'Send "Authorization: Bearer <token>"; a token comes from POST /api/login.',
  },
  wrong_password: {
    status: 401,
    title: 'Account or password is wrong',
    cure: 'Check both; the first password of "admin" stands in the file admin-password of the data folder.',
  },
  forbidden: {
    status: 403,
    title: 'This account may not do that',
    cure: 'Ask an administrator of this Berth.',
  },
  not_found: {
    status: 404,
    title: 'There is no such thing',
    cure: 'Check the id; GET on the list shows what there is.',
  },
  method_not_allowed: {
    status: 405,
    title: 'The path does not take this method',
    cure: 'Use one of the methods that the answer names.',
  },
  quota_exceeded: {
    status: 403,
    title: 'The customer may not use more',
    cure: 'Stop or delete an environment, or ask an administrator for a higher limit.',
  },
  name_taken: {
    status: 409,
    title: 'The name is in use',
    cure: 'Choose another name, or delete the thing that has it.',
  },
  wrong_state: {
    status: 409,
    title: 'The environment is not in a state in which that can be done',
    cure: 'Wait for the current step to end, or delete the environment.',
  },
  duplicate_key: {
    status: 409,
    title: 'The key is there already',
    cure: 'Nothing to do: the key already opens the environments.',
  },
  duplicate_entry: {
    status: 409,
    title: 'The network is in the allowlist already',
    cure: 'Nothing to do: who is in it gets in already.',
  },
  allowlist_full: {
    status: 409,
    title: 'The allowlist has as many entries as it can hold',
    cure: 'Remove some, or put one larger network in the place of several.',
  },
  in_use: {
    status: 409,
    title: 'The thing is in use',
    cure: 'Remove what uses it first; the answer names it.',
  },
  request_differs: {
    status: 409,
    title: 'The Idempotency-Key was used for another request',
    cure: 'Use a new key for a new request.',
  },
  request_underway: {
    status: 409,
    title: 'The same request is being answered just now',
    cure: 'Try again in a few seconds.',
  },
  too_large: {
    status: 413,
    title: 'The request is too large',
    cure: 'Send less than 1 MiB.',
  },
  unsupported_media_type: {
    status: 415,
    title: 'The content type is not known',
    cure: 'Send JSON with "Content-Type: application/json".',
  },
  bad_ssh_key: {
    status: 422,
    title: 'This is not a public key that Berth takes',
    cure: 'Paste the one line of a .pub file, such as ~/.ssh/id_ed25519.pub.',
  },
  bad_revocation_list: {
    status: 422,
    title: 'This is not a list of revoked keys that Berth takes',
    cure: 'Send a KRL that "ssh-keygen -k" made, or lines of public keys.',
  },
  weak_password: {
    status: 422,
    title: 'The password does not keep to the policy',
    cure: 'Choose one as the answer says.',
  },
  unknown_reference: {
    status: 422,
    title: 'The request names something that does not exist',
    cure: 'Use one that the list shows.',
  },
  unusable_image: {
    status: 422,
    title: 'The image cannot be an environment',
    cure: 'See what its check says, mend the image, and check it again.',
  },
  bad_backup: {
    status: 422,
    title: 'This is not a whole backup of Berth',
    cure: 'Use another copy of the file, or an older backup.',
  },
  unknown_image: {
    status: 422,
    title: 'There is no such image',
    cure: 'Use one of the images that the answer names.',
  },
  rate_limited: {
    status: 429,
    title: 'Too many requests',
    cure: 'Wait as long as the header Retry-After says.',
  },
  internal: {
    status: 500,
    title: 'Berth made a mistake',
    cure: "Look for the request's id in Berth's log and report it.",
  },
  jupyter_not_served: {
    status: 501,
    title: 'Berth does not serve JupyterLab over HTTP',
    cure: 'Use the forwarding that the answer names.',
  },
  ports_exhausted: {
    status: 503,
    title: 'No port is left',
    cure: 'Delete an environment, widen portRange, or create it with "own_port": "auto" or "no".',
  },
  runtime_unavailable: {
    status: 503,
    title: 'The container engine does not answer',
    cure: 'Start the engine ("systemctl start docker"); Berth goes on by itself once it answers.',
  },
  unavailable: {
    status: 503,
    title: 'Berth cannot answer just now',
    cure: 'Try again in a few seconds.',
  },
} as const satisfies Record<string, Entry>;

export type ErrorCode = keyof typeof errorCatalogue;

/** RFC 9457 problem document. Served as `application/problem+json`. */
export const Problem = Type.Object(
  {
    type: Type.String({ description: 'URI reference that names the kind of problem' }),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String({ description: 'stable code from the catalogue' }),
    detail: Type.String({ description: 'what happened this time' }),
    cure: Type.String({ description: 'what to do' }),
    field: Type.Optional(Type.String({ description: 'the field that is wrong' })),
    request_id: Type.Optional(Type.String()),
  },
  { $id: 'Problem' },
);
export type Problem = Static<typeof Problem>;

/**
 * An error of the catalogue. Thrown anywhere in the server; the HTTP layer turns it into a problem document.
 * `detail` is read by people and must name the field, the value and what is allowed; it must hold no secret.
 */
export class BerthError extends Error {
  readonly code: ErrorCode;
  readonly field: string | undefined;
  readonly cure: string;

  constructor(
    code: ErrorCode,
    detail: string,
    options: { field?: string; cure?: string; cause?: unknown } = {},
  ) {
    super(detail, { cause: options.cause });
    this.name = 'BerthError';
    this.code = code;
    this.field = options.field;
    this.cure = options.cure ?? errorCatalogue[code].cure;
  }

  get status(): number {
    return errorCatalogue[this.code].status;
  }
}
