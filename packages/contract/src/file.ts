/** Files inside an environment, as a browser moves them: by SFTP on the server's side. */
import Type from 'typebox';
import type { Static } from 'typebox';
import { oneOf } from './common.ts';

const path = Type.String({
  minLength: 1,
  maxLength: 4096,
  pattern: '^[^\\u0000]+$',
  description: 'absolute, or from the home folder',
});

export const FileQuery = Type.Object({ path }, { additionalProperties: false });
export type FileQuery = Static<typeof FileQuery>;

export const UploadQuery = Type.Object(
  {
    path,
    replace: Type.Optional(
      Type.Boolean({ description: 'take the place of a file that is there; otherwise that is refused' }),
    ),
  },
  { additionalProperties: false },
);
export type UploadQuery = Static<typeof UploadQuery>;

export const ListFiles = Type.Object({ path: Type.Optional(path) }, { additionalProperties: false });
export type ListFiles = Static<typeof ListFiles>;

export const fileKinds = ['file', 'folder', 'other'] as const;

export const FileEntry = Type.Object(
  {
    name: Type.String(),
    kind: oneOf(fileKinds, { description: 'of what a symbolic link leads to' }),
    bytes: Type.Integer(),
    modified_at: Type.String({ format: 'date-time' }),
  },
  { $id: 'FileEntry' },
);
export type FileEntry = Static<typeof FileEntry>;

export const FileList = Type.Object(
  {
    path: Type.String({ description: 'absolute, without symbolic links' }),
    items: Type.Array(FileEntry),
    more: Type.Boolean({ description: 'there are more than are shown' }),
  },
  { $id: 'FileList' },
);
export type FileList = Static<typeof FileList>;

export const UploadedFile = Type.Object(
  { path: Type.String(), bytes: Type.Integer() },
  { $id: 'UploadedFile' },
);
export type UploadedFile = Static<typeof UploadedFile>;
