/** The part of ECharts that the dashboard uses, and the one hook that owns a chart's lifetime. */
import { LineChart, type LineSeriesOption } from 'echarts/charts';
import { GridComponent, type GridComponentOption } from 'echarts/components';
import { type ComposeOption, init, use } from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';
import { type RefObject, useEffect, useRef } from 'react';

use([LineChart, GridComponent, CanvasRenderer]);

export type LineOption = ComposeOption<LineSeriesOption | GridComponentOption>;

/** Draws `option` into the element and keeps its size; the canvas is decoration, texts beside it carry the values. */
export function useLineChart(element: RefObject<HTMLDivElement | null>, option: LineOption): void {
  const chart = useRef<ReturnType<typeof init> | null>(null);
  useEffect(() => {
    const host = element.current;
    if (host === null) return;
    const made = init(host, null, { renderer: 'canvas' });
    chart.current = made;
    const observer = new ResizeObserver(() => made.resize());
    observer.observe(host);
    return () => {
      observer.disconnect();
      made.dispose();
      chart.current = null;
    };
  }, [element]);
  useEffect(() => {
    chart.current?.setOption(option, { replaceMerge: ['series', 'xAxis', 'yAxis', 'grid'] });
  }, [option]);
}
