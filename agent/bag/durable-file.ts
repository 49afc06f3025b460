/**
 * Owns how bytes get onto the disk and stay there: whole writes, data sync, and renames that survive a power cut. The
 * handle is an interface, so that tests can put a failing disk under the recorder.
 */

import { constants } from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/** What the recorder needs of an open file. Positions are bytes from the file's start. */
export interface DurableHandle {
  /** Writes some of `pieces` in order from `position`; tells how many bytes, which may be fewer than given. */
  writev(pieces: readonly Uint8Array[], position: number): Promise<number>;
  /** Resolves when everything written before the call is on the disk. */
  datasync(): Promise<void>;
  truncate(length: number): Promise<void>;
  close(): Promise<void>;
}

/** Creates a file that must not exist yet. */
export type CreateDurable = (path: string) => Promise<DurableHandle>;

function durable(handle: FileHandle): DurableHandle {
  return {
    writev: async (pieces, position) => (await handle.writev(pieces, position)).bytesWritten,
    datasync: () => handle.datasync(),
    truncate: (length) => handle.truncate(length),
    close: () => handle.close(),
  };
}

/** Creates a real file. @throws system error `EEXIST` when there is one already. */
export async function createDurable(path: string): Promise<DurableHandle> {
  return durable(await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o644));
}

/** Opens a real file that exists, for changing it in place. */
export async function openDurable(path: string): Promise<DurableHandle> {
  return durable(await open(path, constants.O_RDWR));
}

/** How many buffers one system call takes (IOV_MAX of Linux). */
const maxPieces = 1024;

/**
 * Writes every byte of `pieces` in order from `position`, however short the single writes are.
 * @returns how many bytes were written.
 * @throws the system's error; then an unknown part of the bytes is in the file, and writing them again is safe.
 */
export async function writeFully(
  handle: DurableHandle,
  pieces: readonly Uint8Array[],
  position: number,
): Promise<number> {
  let rest = pieces.filter((piece) => piece.byteLength > 0);
  let at = position;
  while (rest.length > 0) {
    const written = await handle.writev(rest.slice(0, maxPieces), at);
    if (written <= 0) throw Object.assign(new Error(`write of 0 bytes at offset ${at}`), { code: 'EIO' });
    at += written;
    rest = dropBytes(rest, written);
  }
  return at - position;
}

/** What is left of `pieces` behind their first `count` bytes. */
function dropBytes(pieces: readonly Uint8Array[], count: number): Uint8Array[] {
  let left = count;
  let index = 0;
  for (; index < pieces.length; index += 1) {
    const length = (pieces[index] as Uint8Array).byteLength;
    if (length > left) break;
    left -= length;
  }
  const rest = pieces.slice(index);
  if (left > 0 && rest[0] !== undefined) rest[0] = rest[0].subarray(left);
  return rest;
}

/** Makes what was created, renamed or removed in a folder survive a power cut. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Renames within one folder, durably; the file itself must have been synced before. */
export async function renameDurably(from: string, to: string): Promise<void> {
  await rename(from, to);
  await syncFolder(dirname(to));
}

/** Writes a small file so that after a power cut there is the old one or the new one, never half of one. */
export async function replaceDurably(path: string, bytes: Uint8Array): Promise<void> {
  const partial = `${path}.partial`;
  const handle = durable(await open(partial, 'w', 0o644));
  try {
    await writeFully(handle, [bytes], 0);
    await handle.datasync();
  } finally {
    await handle.close();
  }
  await renameDurably(partial, path);
}
