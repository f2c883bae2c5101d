// Asks Prometheus as Grafana's data source does, and gives its answers as data frames.

import { DataFrame, Field, FieldType } from '@grafana/data';

import { Panel, Target, task } from './task';

/** How many points a graph asks for at most. */
const POINTS = 300;

interface Series {
  metric: Record<string, string>;
  values?: Array<[number, string]>;
  value?: [number, string];
}

/** The frames of all queries of a panel. */
export async function ask(panel: Panel): Promise<DataFrame[]> {
  const targets = panel.targets ?? [];
  const answers = await Promise.all(targets.map((target) => answer(target)));
  return answers.flatMap((series, index) => {
    const target = targets[index];
    if (target.format === 'table') {
      const name = targets.length > 1 ? `Value #${target.refId}` : 'Value';
      return series.length > 0 ? [table(target, series, name)] : [];
    }
    return series.map((one) => graph(target, one));
  });
}

async function answer(target: Target): Promise<Series[]> {
  const range = task.to - task.from;
  const step = Math.max(task.scrape, Math.ceil(range / POINTS));
  const words: Record<string, string> = { query: interpolated(target.expr, step, range) };
  if (target.instant) {
    words.time = String(task.to);
  } else {
    words.start = String(task.from);
    words.end = String(task.to);
    words.step = String(step);
  }
  const path = target.instant ? 'query' : 'query_range';
  const response = await fetch(`${task.prometheus}/api/v1/${path}?${new URLSearchParams(words)}`);
  const said = await response.json();
  if (said.status !== 'success') {
    throw new Error(`${target.expr}: ${said.error}`);
  }
  return said.data.result;
}

/** Grafana's variables; every job and instance is chosen. */
function interpolated(expr: string, step: number, range: number): string {
  const rate = Math.max(step + task.scrape, 4 * task.scrape);
  return expr
    .replaceAll('$__rate_interval', `${rate}s`)
    .replaceAll('$__interval', `${step}s`)
    .replaceAll('$__range_s', String(Math.round(range)))
    .replaceAll('$__range', `${Math.round(range)}s`)
    .replaceAll('$job', '.+')
    .replaceAll('$instance', '.+');
}

function graph(target: Target, series: Series): DataFrame {
  const points = series.values ?? (series.value ? [series.value] : []);
  const name = legend(target.legendFormat, series.metric);
  const time = field('Time', FieldType.time, points.map(([at]) => at * 1000));
  const value = field('Value', FieldType.number, points.map(([, text]) => number(text)));
  value.labels = series.metric;
  value.config.displayNameFromDS = name;
  return { refId: target.refId, name, fields: [time, value], length: points.length };
}

function table(target: Target, series: Series[], name: string): DataFrame {
  const labels = [...new Set(series.flatMap((one) => Object.keys(one.metric)))].sort();
  const points = series.map((one) => one.value ?? [0, 'NaN']);
  const fields = [
    field('Time', FieldType.time, points.map(([at]) => at * 1000)),
    ...labels.map((label) => field(label, FieldType.string, series.map((one) => one.metric[label] ?? ''))),
    field(name, FieldType.number, points.map(([, text]) => number(text))),
  ];
  return { refId: target.refId, fields, length: series.length };
}

function field(name: string, type: FieldType, values: any[]): Field {
  return { name, type, config: {}, values };
}

function number(text: string): number | null {
  const value = Number(text.replace('Inf', 'Infinity'));
  return Number.isNaN(value) ? null : value;
}

function legend(format: string, labels: Record<string, string>): string {
  if (!format) {
    return 'Value';
  }
  return format.replace(/\{\{\s*([^}\s]+)\s*\}\}/g, (_, label) => labels[label] ?? '');
}
