/** The part of ECharts that the dashboard uses, and the one hook that owns a chart's lifetime. */
import { LineChart, type LineSeriesOption } from 'echarts/charts';
import { GridComponent, type GridComponentOption } from 'echarts/components';
import { type ComposeOption, init, use } from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';
import { type RefObject, useEffect, useRef } from 'react';

use([LineChart, GridComponent, CanvasRenderer]);

export type LineOption = ComposeOption<LineSeriesOption | GridComponentOption>;

const replaceMerge = ['series', 'xAxis', 'yAxis', 'grid'];

/**
 * Draws `option` into the element and keeps its size; nothing is drawn while the chart is scrolled out of sight. The
 * canvas is decoration: texts beside it carry the values.
 */
export function useLineChart(element: RefObject<HTMLDivElement | null>, option: LineOption): void {
  const newest = useRef(option);
  const redraw = useRef<() => void>(() => undefined);
  useEffect(() => {
    const host = element.current;
    if (host === null) return;
    const chart = init(host, null, { renderer: 'canvas' });
    let visible = false;
    let drawn: LineOption | null = null;
    redraw.current = () => {
      if (!visible || drawn === newest.current) return;
      drawn = newest.current;
      chart.setOption(drawn, { replaceMerge });
    };
    const sizes = new ResizeObserver(() => chart.resize());
    sizes.observe(host);
    const sights = new IntersectionObserver(
      (entries) => {
        visible = entries.at(-1)?.isIntersecting ?? false;
        redraw.current();
      },
      { rootMargin: '600px' },
    );
    sights.observe(host);
    return () => {
      sizes.disconnect();
      sights.disconnect();
      redraw.current = () => undefined;
      chart.dispose();
    };
  }, [element]);
  useEffect(() => {
    newest.current = option;
    redraw.current();
  }, [option]);
}
