/** Takes bags out of what was dropped or picked: files, and folders, as a recording is one. */
import { BagError } from '../reading/bag-error.ts';
import type { BagSource } from './bag-viewer.tsx';

/** A recording is one folder; those of a vehicle are one around them. */
const deepest = 4;
const mostEntries = 20_000;
const namesTold = 3;

/** What a drop is made of, as far as it is needed here: `FileSystemEntry` of browsers. */
export interface DroppedEntry {
  readonly name: string;
  readonly isDirectory: boolean;
}

interface Found {
  readonly files: File[];
  readonly folders: string[];
  left: number;
}

/** To be called while the drop is handled: what was dropped is gone behind it. */
export function entriesOf(transfer: DataTransfer): (DroppedEntry | File)[] {
  return [...transfer.items].flatMap((item) => {
    if (item.kind !== 'file') return [];
    const entry = item.webkitGetAsEntry() ?? item.getAsFile();
    return entry === null ? [] : [entry];
  });
}

/** All files in what was dropped. @throws BagError when one cannot be read, or there are folders and no bag in them. */
export async function readDropped(entries: readonly (DroppedEntry | File)[]): Promise<File[]> {
  const found: Found = { files: [], folders: [], left: mostEntries };
  for (const entry of entries) {
    if (entry instanceof File) found.files.push(entry);
    else await readEntry(entry, found, 0);
  }
  const [folder] = found.folders;
  if (folder === undefined || found.files.some(isBag)) return found.files;
  const names = found.files.map(({ name }) => name);
  const told = names.slice(0, namesTold).join(', ');
  const others = names.length > namesTold ? ` and ${names.length - namesTold} more` : '';
  throw new BagError(
    folder,
    null,
    `expected a recording's folder with .mcap files in it, found ${names.length === 0 ? 'no files' : told + others}`,
    'Drop the folder that `metadata.yaml` and the .mcap files are in, or these files themselves.',
  );
}

async function readEntry(entry: DroppedEntry, found: Found, depth: number): Promise<void> {
  found.left -= 1;
  if (found.left < 0) {
    throw new BagError(entry.name, null, `expected at most ${mostEntries} files and folders, found more`);
  }
  try {
    if (!entry.isDirectory) {
      const file = entry as FileSystemFileEntry;
      found.files.push(await new Promise<File>((resolve, reject) => file.file(resolve, reject)));
      return;
    }
    if (depth === 0) found.folders.push(entry.name);
    if (depth >= deepest) return;
    const reader = (entry as FileSystemDirectoryEntry).createReader();
    // A browser gives a large folder in parts, the last of them empty.
    for (;;) {
      const part = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
      if (part.length === 0) return;
      for (const one of part) await readEntry(one, found, depth + 1);
    }
  } catch (error) {
    if (error instanceof BagError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new BagError(entry.name, null, `it cannot be read: ${why}`, 'Is it still there? Drop it again.');
  }
}

function isBag({ name }: File): boolean {
  return /\.mcap(\.active)?$/i.test(name);
}

/** The bag that these files are; anything that is none is shown for what it is. Null for no files. */
export function bagOf(files: readonly File[]): BagSource | null {
  const bags = files.filter(isBag);
  // A recording's folder has its description beside the segments.
  const chosen = (bags.length > 0 ? bags : files).toSorted((one, other) =>
    one.name.localeCompare(other.name, 'en', { numeric: true }),
  );
  const [first] = chosen;
  if (!first) return null;
  const name = chosen.length === 1 ? first.name : `${first.name} and ${chosen.length - 1} more`;
  return { name, files: chosen.map((blob) => ({ name: blob.name, blob })) };
}
