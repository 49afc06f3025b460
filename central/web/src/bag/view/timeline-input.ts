/**
 * What pointer, wheel and keyboard do to the timeline: drag to zoom into a span, drag the ruler (or with Shift, or by touch) to
 * move, Ctrl and wheel to zoom, click to place the cursor.
 */
import { type KeyboardEvent, type PointerEvent, useEffect } from 'react';
import type { Stage } from './stage.ts';

/** Pointers that move less are clicks. */
const clickPx = 4;

function plotOf(target: EventTarget | null): HTMLElement | null {
  return target instanceof Element ? target.closest<HTMLElement>('.time-row-plot') : null;
}

/** Handlers for the element around all rows. */
export function timelinePointer(stage: Stage, onSeek: (timeS: number) => void) {
  const onPointerMove = (event: PointerEvent<HTMLElement>) => {
    const plot = plotOf(event.target);
    if (event.pointerType === 'touch' || event.buttons !== 0) return;
    const box = plot?.getBoundingClientRect();
    stage.hoverS = box ? stage.fromS + ((event.clientX - box.left) / box.width) * stage.spanS : null;
    stage.changed();
  };
  const onPointerLeave = () => {
    stage.hoverS = null;
    stage.changed();
  };
  const onPointerDown = (down: PointerEvent<HTMLElement>) => {
    const plot = plotOf(down.target);
    const isMark = down.target instanceof Element && down.target.closest('button') !== null;
    if (plot === null || isMark || down.button > 1) return;
    if (down.button === 1) down.preventDefault();
    const box = plot.getBoundingClientRect();
    const moves = down.shiftKey || down.button === 1 || down.pointerType === 'touch' || plot.closest('.ruler') !== null;
    follow(stage, box, down, moves, onSeek);
  };
  return { onPointerDown, onPointerMove, onPointerLeave };
}

function follow(stage: Stage, box: DOMRect, down: PointerEvent, moves: boolean, onSeek: (timeS: number) => void): void {
  const { fromS, spanS } = stage;
  const timeAt = (clientX: number) => fromS + Math.max(0, Math.min(1, (clientX - box.left) / box.width)) * spanS;
  const startS = timeAt(down.clientX);
  let isDrag = false;
  const move = (event: globalThis.PointerEvent) => {
    isDrag ||= Math.abs(event.clientX - down.clientX) >= clickPx;
    if (!isDrag) return;
    stage.hoverS = null;
    if (moves) {
      const byS = ((down.clientX - event.clientX) / box.width) * spanS;
      stage.show(fromS + byS, fromS + byS + spanS);
      return;
    }
    const otherS = timeAt(event.clientX);
    stage.marked = { fromS: Math.min(startS, otherS), toS: Math.max(startS, otherS) };
    stage.changed();
  };
  const end = (event: globalThis.PointerEvent) => {
    removeEventListener('pointermove', move);
    removeEventListener('pointerup', end);
    removeEventListener('pointercancel', end);
    const { marked } = stage;
    stage.marked = null;
    if (event.type === 'pointercancel') return;
    if (!isDrag) onSeek(startS);
    else if (marked !== null) stage.show(marked.fromS, marked.toS);
    stage.changed();
  };
  addEventListener('pointermove', move);
  addEventListener('pointerup', end);
  addEventListener('pointercancel', end);
}

/**
 * Wheel with Ctrl (and the pinch of a touchpad, which browsers send as that), or over the ruler or the strip, zooms; sideways or
 * with Shift it moves; else the page scrolls as everywhere.
 */
export function useWheel(element: { readonly current: HTMLElement | null }, stage: Stage): void {
  useEffect(() => {
    const host = element.current;
    if (host === null) return;
    const onWheel = (event: WheelEvent) => {
      const target = event.target instanceof Element ? event.target : null;
      const plot = target?.closest<HTMLElement>('.time-row-plot, .bag-strip');
      if (!plot) return;
      const isStrip = plot.classList.contains('bag-strip');
      const zooms = event.ctrlKey || event.metaKey || isStrip || plot.closest('.ruler') !== null;
      const sideways = event.shiftKey ? event.deltaX || event.deltaY : event.deltaX;
      const box = plot.getBoundingClientRect();
      if (zooms && !event.shiftKey) {
        const share = (event.clientX - box.left) / box.width;
        const lines = event.deltaMode === 1 ? 30 : 1;
        const around = isStrip ? share * stage.durationS : stage.fromS + share * stage.spanS;
        stage.zoom(1.0022 ** Math.max(-300, Math.min(300, event.deltaY * lines)), around);
      } else if (Math.abs(sideways) > Math.abs(event.shiftKey ? 0 : event.deltaY)) {
        stage.pan(sideways / box.width);
      } else {
        return;
      }
      event.preventDefault();
    };
    host.addEventListener('wheel', onWheel, { passive: false });
    return () => host.removeEventListener('wheel', onWheel);
  }, [element, stage]);
}

/** What the keys do; true when one did something. */
export function timelineKey(stage: Stage, event: KeyboardEvent, onSeek: (timeS: number) => void): boolean {
  if (event.altKey || event.ctrlKey || event.metaKey) return false;
  const stepS = stage.spanS / 100;
  const isSeen = stage.cursorS >= stage.fromS && stage.cursorS <= stage.toS;
  const around = isSeen ? stage.cursorS : undefined;
  const from = isSeen ? stage.cursorS : stage.fromS;
  const keys = new Map<string, () => void>([
    ['ArrowLeft', () => (event.shiftKey ? stage.pan(-0.2) : onSeek(from - stepS))],
    ['ArrowRight', () => (event.shiftKey ? stage.pan(0.2) : onSeek(from + stepS))],
    ['PageUp', () => stage.pan(0.9)],
    ['PageDown', () => stage.pan(-0.9)],
    ['Home', () => onSeek(0)],
    ['End', () => onSeek(stage.durationS)],
    ['+', () => stage.zoom(0.5, around)],
    ['=', () => stage.zoom(0.5, around)],
    ['-', () => stage.zoom(2, around)],
    ['0', () => stage.show(0, stage.durationS)],
  ]);
  const act = keys.get(event.key);
  if (act === undefined) return false;
  act();
  return true;
}
