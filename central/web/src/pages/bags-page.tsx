/** Bags in the dashboard: a file of this computer, picked or dropped, or the clip of an event. Nothing is uploaded. */
import { type DragEvent, useMemo, useState } from 'react';
import { Link, useSearch } from 'wouter';
import { clipRecordingUrl } from '../api/queries.ts';
import { type BagFault, faultOf } from '../bag/reading/bag-error.ts';
import { BagFailure, type BagSource, BagViewer } from '../bag/view/bag-viewer.tsx';
import { bagOf, entriesOf, readDropped } from '../bag/view/dropped-files.ts';
import { Icon } from '../components/icon.tsx';
import { PageTitle } from '../components/page-title.tsx';

export function BagsPage() {
  const clip = new URLSearchParams(useSearch()).get('clip');
  const [picked, setPicked] = useState<BagSource | null>(null);
  const clipSource = useMemo((): BagSource | null => {
    if (clip === null) return null;
    return { name: `Clip of ${clip}`, files: [{ name: `${clip}.mcap`, url: clipRecordingUrl(clip) }] };
  }, [clip]);
  const source = picked ?? clipSource;
  if (source === null) {
    return (
      <>
        <PageTitle title="Bags" />
        <BagPicker onPick={setPicked} />
      </>
    );
  }
  return (
    <>
      {picked === null && clip !== null && (
        <p className="crumbs">
          <Link href={`/events/${encodeURIComponent(clip)}`}>The event</Link>
        </p>
      )}
      <div className="title-row">
        <PageTitle title={source.name} />
        <span className="bag-other">
          <OpenButton onPick={setPicked} words="Open another" />
        </span>
      </div>
      <BagViewer key={source.name} source={source} />
    </>
  );
}

interface PickProps {
  readonly onPick: (source: BagSource) => void;
}

function BagPicker({ onPick }: PickProps) {
  const [isOver, setOver] = useState(false);
  const [fault, setFault] = useState<BagFault | null>(null);
  const over = (event: DragEvent) => {
    event.preventDefault();
    setOver(true);
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    readDropped(entriesOf(event.dataTransfer)).then(
      (files) => pick(files, onPick),
      (error: unknown) => setFault(faultOf(error, '')),
    );
  };
  return (
    <>
      {fault !== null && <BagFailure fault={fault} />}
      <section
        className={isOver ? 'bag-drop bag-drop-over' : 'bag-drop'}
        aria-label="Open a bag"
        onDragOver={over}
        onDragLeave={() => setOver(false)}
        onDrop={drop}
      >
        <Icon name="folder" size={36} />
        <p className="empty-title">Drop a recording here: its folder, or its .mcap files</p>
        <OpenButton onPick={onPick} words="Choose files" />
        <p className="faint">The files stay on this computer: your browser reads them, and nothing is uploaded.</p>
        <p className="faint">
          From a terminal: <code>fender bag view PATH</code>
        </p>
      </section>
    </>
  );
}

function OpenButton({ onPick, words }: PickProps & { readonly words: string }) {
  return (
    <label className="bag-open">
      <input
        type="file"
        className="visually-hidden"
        multiple
        aria-label={words}
        onChange={(change) => pick([...(change.target.files ?? [])], onPick)}
      />
      <span className="button">{words}</span>
    </label>
  );
}

function pick(files: readonly File[], onPick: PickProps['onPick']): void {
  const source = bagOf(files);
  if (source !== null) onPick(source);
}
